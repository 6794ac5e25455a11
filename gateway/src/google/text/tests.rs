//! Charsets, header words, HTML and windows.

use proptest::prelude::*;

use super::*;

#[test]
fn bytes_are_read_in_the_charset_that_fits_them() {
    let iso_2022_jp = b"\x1b$B%F%9%H\x1b(B ok";
    for (bytes, label, expected) in [
        (&b"plain"[..], None, "plain"),
        ("Grüße".as_bytes(), None, "Grüße"),
        // Google converted the body and left the label.
        ("Grüße".as_bytes(), Some("ISO-8859-1"), "Grüße"),
        (b"Gr\xfc\xdfe", Some("iso-8859-1"), "Grüße"),
        (b"Gr\xfc\xdfe", Some("\"windows-1252\""), "Grüße"),
        (b"Gr\xfc\xdfe", None, "Grüße"),
        (b"Gr\xfc\xdfe", Some("no-such-charset"), "Grüße"),
        (b"\xcf\xf0\xe8\xe2\xe5\xf2", Some("windows-1251"), "Привет"),
        (b"\x83e\x83X\x83g", Some("Shift_JIS"), "テスト"),
        (iso_2022_jp, Some("ISO-2022-JP"), "テスト ok"),
        ("テスト".as_bytes(), Some("ISO-2022-JP"), "テスト"),
        (b"Hi Mom -+Jjo--!", Some("UTF-7"), "Hi Mom -☺-!"),
        (b"\xff\xfeh\0i\0", None, "hi"),
        (b"h\0i\0", Some("utf-16le"), "hi"),
        (b"broken \xff utf-8", Some("utf-8"), "broken \u{fffd} utf-8"),
        (b"", Some("utf-8"), ""),
    ] {
        assert_eq!(decode(bytes, label), expected, "{bytes:?} {label:?}");
    }
}

#[test]
fn a_content_type_tells_its_charset() {
    assert_eq!(charset("text/plain; charset=utf-8"), Some("utf-8"));
    assert_eq!(
        charset("text/html; format=flowed; Charset=\"ISO-2022-JP\""),
        Some("ISO-2022-JP")
    );
    assert_eq!(charset("text/plain"), None);
}

#[test]
fn header_words_are_decoded() {
    for (value, expected) in [
        ("Plain = ? subject", "Plain = ? subject"),
        ("=?UTF-8?Q?Gr=C3=BC=C3=9Fe?= an alle", "Grüße an alle"),
        (
            "=?utf-8?B?44OG44K544OI?= <ana@example.com>",
            "テスト <ana@example.com>",
        ),
        ("=?ISO-2022-JP?B?GyRCJUYlOSVIGyhC?=", "テスト"),
        ("=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        ("=?broken", "=?broken"),
    ] {
        assert_eq!(decode_header(value), expected);
    }
}

#[test]
fn html_becomes_lines_without_style_script_and_filler() {
    let html = "<html><head><title>t</title><style>p{color:red}</style></head><body>\
        <div>Hello <b>Ana</b>,</div><div>see <a href='https://example.com/x'>this page</a>.</div>\
        <script>alert(1)</script><ul><li>one</li><li>two &amp; three</li></ul>\
        <div>\u{200c}\u{34f}\u{200c}</div><div>&nbsp;</div><div>&nbsp;</div><p>Bye</p></body></html>";
    let text = from_html(html);
    for part in ["Hello Ana,\nsee ", "this page", "* one\n* two & three", "\n\nBye"] {
        assert!(text.contains(part), "{part:?} in {text:?}");
    }
    for part in ["color", "alert", "\u{200c}", "\n\n\n"] {
        assert!(!text.contains(part), "{part:?} in {text:?}");
    }
}

#[test]
fn hostile_html_costs_little() {
    for html in [
        "<div>".repeat(500_000) + "x",
        "<blockquote>".repeat(190) + &"x<br>".repeat(80_000),
        "<table><tr>".to_owned() + &"<td>x".repeat(50_000),
        "<table><tr><td colspan=1000000000>x</table>".to_owned(),
        "x".repeat(3_000_000),
    ] {
        let text = from_html(&html);
        assert!(text.contains('x'));
        assert!(text.len() <= 2 * html.len(), "{} from {}", text.len(), html.len());
    }
    for html in [
        "",
        "<",
        "<table><td rowspan=1000000000>",
        "<table><tr><td",
        "&#x110000;",
        "<!--",
        "</p>",
    ] {
        assert!(from_html(html).len() <= html.len());
    }
}

#[test]
fn depth_counts_elements_that_are_open_at_the_same_time() {
    for (html, expected) in [
        ("a < b", 0),
        ("<p>a</p><p>b</p>", 1),
        ("<div><p>a<br><img src=x><br></p></div>", 2),
        ("<!doctype html><!-- <p> -->", 1),
        ("</p></p><div>", 1),
    ] {
        assert_eq!(depth(html), expected, "{html}");
    }
}

#[test]
fn a_cut_text_says_where_to_go_on() {
    let window = TextWindow::cut("äöü€", 1, 2);
    assert_eq!(
        (window.text.as_str(), window.offset, window.total_chars),
        ("öü", 1, 4)
    );
    assert_eq!((window.truncated, window.next_offset), (true, Some(3)));
    let rest = TextWindow::cut("äöü€", 3, 2);
    assert_eq!(
        (rest.text.as_str(), rest.truncated, rest.next_offset),
        ("€", false, None)
    );
    let beyond = TextWindow::cut("abc", 99, 10);
    assert_eq!(
        (beyond.text.as_str(), beyond.offset, beyond.next_offset),
        ("", 3, None)
    );
}

proptest! {
    #[test]
    fn following_the_offsets_gives_the_whole_text(text in "\\PC{0,60}", max in 1_u32..9) {
        let mut whole = String::new();
        let mut offset = Some(0);
        while let Some(from) = offset {
            let window = TextWindow::cut(&text, u32::try_from(from).unwrap(), max);
            prop_assert!(window.text.chars().count() <= usize::try_from(max).unwrap());
            whole.push_str(&window.text);
            offset = window.next_offset;
        }
        prop_assert_eq!(whole, text);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..64), label in "(utf-8|utf-16|iso-2022-jp|utf-7|big5|x)?") {
        let _ = decode(&bytes, Some(&label));
    }

    #[test]
    fn no_html_breaks_the_linear_converter(html in "(<|>|/|!--|-->|&|;|#x?|p|br|head|style|\"| |\\PC){0,30}") {
        let _ = tidy(&html_to_text(&html));
    }

    #[test]
    fn no_header_breaks_the_decoder(value in "(=\\?|\\?=|utf-8|\\?[BQbq]\\?|[=_ A-Za-z0-9]|\\PC){0,20}") {
        let _ = decode_header(&value);
    }
}
