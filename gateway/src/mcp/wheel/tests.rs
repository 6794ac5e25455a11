//! The wheel on real sockets, in time that the test moves.

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::time::advance;

use super::*;

const INTERVAL: Duration = Duration::from_secs(15);

/// A client's end of a connection, and the wheel that has the other.
async fn wheel_and_client() -> (Arc<Wheel>, TcpStream, Lifecycle) {
    let life = Lifecycle::new();
    let wheel = Wheel::start(INTERVAL, Clock::manual(Timestamp::UNIX_EPOCH), &life);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (socket, _) = listener.accept().await.unwrap();
    let stream = IdleStream {
        kind: StreamKind::Standalone,
        session: SessionKey([1; 16]),
        grant: "g".into(),
        first: Bytes::new(),
    };
    let adopted = wheel.adopt(socket, (b"", Framing::UntilClose), stream, Box::new(()));
    assert!(adopted.is_ok());
    (wheel, client, life)
}

/// How many comments arrived since the last look.
async fn comments(client: &TcpStream) -> usize {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    let mut text = [0; 4_096];
    let length = client.try_read(&mut text).unwrap_or(0);
    length / sse::KEEP_ALIVE.len()
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_not_silent_for_longer_than_an_interval_after_a_wheel_that_stood_still() {
    let (_wheel, client, _life) = wheel_and_client().await;
    assert_eq!(comments(&client).await, 1, "the first one, at once");
    for _ in 0..3 {
        // Nothing of this process ran meanwhile, as on a machine that is too busy.
        advance(INTERVAL).await;
        assert_eq!(comments(&client).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wheel_in_time_writes_one_comment_per_interval() {
    let (_wheel, client, _life) = wheel_and_client().await;
    assert_eq!(comments(&client).await, 1, "the first one, at once");
    let mut heard = 0;
    for _ in 0..4 * SLOTS {
        advance(INTERVAL / 15).await;
        heard += comments(&client).await;
    }
    assert_eq!(heard, 4);
}
