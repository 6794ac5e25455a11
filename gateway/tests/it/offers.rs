//! What the gateway says it offers is what it answers, in both eras.

use serde_json::json;

use crate::support::{initialize, start};

/// A method of each family of methods, and the capability that declares the family.
const FAMILIES: [(&str, &str); 5] = [
    ("completion/complete", "completions"),
    ("prompts/list", "prompts"),
    ("resources/list", "resources"),
    ("resources/templates/list", "resources"),
    ("tools/list", "tools"),
];

#[tokio::test]
async fn whatever_is_answered_is_declared() {
    let app = start().await;
    let token = app.token("1001");
    let legacy = app.post(&token, None, &initialize("2025-11-25")).await.json();
    let modern = app.modern(&token, "server/discover", json!({})).await.json();
    let session = app.initialize(&token).await;
    for (method, capability) in FAMILIES {
        let answers = [
            (&legacy, app.call(&token, &session, method, json!({})).await),
            (&modern, app.modern(&token, method, json!({})).await),
        ];
        for (declared, answer) in answers {
            assert!(answer.json()["result"].is_object(), "{method}: {answer:?}");
            let capabilities = &declared["result"]["capabilities"];
            assert!(capabilities[capability].is_object(), "{method}: {capabilities}");
        }
    }
}

#[tokio::test]
async fn a_resource_that_is_not_there_is_named_with_the_code_of_the_era() {
    let app = start().await;
    let token = app.token("1001");
    let session = app.initialize(&token).await;
    let params = json!({"uri": "test://not/there"});
    let legacy = app.call(&token, &session, "resources/read", params.clone()).await;
    assert_eq!(legacy.error(), (200, -32002));
    let modern = app.modern(&token, "resources/read", params).await;
    assert_eq!(modern.error(), (200, -32602));
    for answer in [legacy, modern] {
        assert_eq!(
            answer.json()["error"]["data"]["uri"],
            "test://not/there",
            "{answer:?}"
        );
    }
    let unnamed = app.call(&token, &session, "resources/read", json!({})).await;
    assert_eq!(unnamed.error(), (200, -32602));
}
