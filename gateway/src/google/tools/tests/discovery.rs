//! Every request against Google's discovery documents: host, path, parameters, enumerations, field masks.
//!
//! `discovery.json` is an excerpt of the documents of gmail.v1, calendar.v3, drive.v3, docs.v1 and sheets.v4 as
//! google-api-python-client 2.202.0 ships them: the methods that are used, with the names of the properties of
//! their answers as deep as a mask may go.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::Value;

use crate::google::request::Request;
use crate::google::tools::{calendar, docs, drive, gmail, sheets};

fn requests() -> Vec<(&'static str, Request)> {
    let now = Timestamp::UNIX_EPOCH;
    let token = || Some("t".to_owned());
    let events = calendar::list_request("primary", now, now)
        .with("maxResults", "1")
        .maybe("pageToken", token())
        .maybe("q", token())
        .maybe("timeZone", Some("UTC"));
    let mut all = vec![
        (
            "gmail.users.messages.list",
            gmail::list_request(5, token()).with("q", "x"),
        ),
        (
            "gmail.users.messages.list",
            gmail::list_request(5, None)
                .with("labelIds", "INBOX")
                .with("labelIds", "UNREAD"),
        ),
        ("gmail.users.messages.get", gmail::summary_request("m")),
        ("gmail.users.messages.get", gmail::message_request("m", "full")),
        (
            "gmail.users.messages.get",
            gmail::message_request("m", "metadata"),
        ),
        (
            "gmail.users.messages.attachments.get",
            gmail::attachment_request("m", "a"),
        ),
        ("calendar.events.list", events),
        ("calendar.events.get", calendar::get_request("primary", "e")),
        ("drive.files.get", drive::file_request("f")),
        ("drive.files.get", drive::media_request("f")),
        ("drive.files.export", drive::export_request("f", "text/csv")),
        ("docs.documents.get", docs::request("d")),
        ("sheets.spreadsheets.get", sheets::metadata_request("s")),
    ];
    for scope in drive::every_scope() {
        let request = drive::list_request(&scope, "trashed = false").with("pageSize", "1");
        all.push((
            "drive.files.list",
            request.maybe("pageToken", token()).with("orderBy", "folder"),
        ));
    }
    for render in ["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"] {
        all.push((
            "sheets.spreadsheets.values.get",
            sheets::values_request("s", "A1:B2", render),
        ));
    }
    all
}

#[test]
fn every_request_is_one_that_google_documents() {
    let documents: Value = serde_json::from_str(include_str!("discovery.json")).unwrap();
    let mut seen = BTreeSet::new();
    for (method, request) in requests() {
        seen.insert(method);
        let document = &documents[method];
        let url = request.url(None).unwrap();
        let root = url::Url::parse(document["root"].as_str().unwrap()).unwrap();
        assert_eq!(url.origin(), root.origin(), "{method}");
        let template = document["path"].as_str().unwrap();
        assert!(fits(template, url.path()), "{method}: {}", url.path());
        check_query(method, document, &url);
    }
    let documented: BTreeSet<_> = documents
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(seen, documented, "methods of the excerpt that are used");
}

fn check_query(method: &str, document: &Value, url: &url::Url) {
    let listed = |list: &str, name: &str| {
        let names = document[list].as_array().unwrap();
        names.iter().any(|known| known == name)
    };
    let mut before = BTreeSet::new();
    let mut masked = false;
    for (name, value) in url.query_pairs() {
        assert!(listed("query", &name), "{method}: unknown parameter {name}");
        let first = before.insert(name.clone());
        assert!(
            first || listed("repeated", &name),
            "{method}: {name} is not repeated"
        );
        if let Some(values) = document["enums"][name.as_ref()].as_array() {
            assert!(
                values.iter().any(|known| known == value.as_ref()),
                "{method}: {name}={value}"
            );
        }
        if name == "fields" {
            masked = true;
            assert_eq!(check_mask(&value, &document["response"]), "", "{method}: {value}");
        }
        // A download has no fields.
        masked |= name == "alt" && value == "media";
    }
    assert!(
        masked || document["response"] == serde_json::json!({}),
        "{method} has no `fields`"
    );
}

/// Checks a mask such as `a,b(c,d/e)` against a tree of names; gives what follows it.
fn check_mask<'m>(mask: &'m str, tree: &Value) -> &'m str {
    let rest = check_member(mask, tree);
    match rest.strip_prefix(',') {
        Some(next) => check_mask(next, tree),
        None => rest,
    }
}

fn check_member<'m>(mask: &'m str, tree: &Value) -> &'m str {
    let end = mask.find([',', '(', ')', '/']).unwrap_or(mask.len());
    let (name, rest) = mask.split_at(end);
    let below = tree
        .get(name)
        .unwrap_or_else(|| panic!("`{name}` is not a property"));
    if let Some(members) = rest.strip_prefix('(') {
        return check_mask(members, below).strip_prefix(')').unwrap();
    }
    rest.strip_prefix('/')
        .map_or(rest, |member| check_member(member, below))
}

/// Whether a path fits its template, in which `{…}` stands for any one segment.
fn fits(template: &str, path: &str) -> bool {
    let template: Vec<_> = template.split('/').collect();
    let path: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let same = |(part, segment): (&&str, &&str)| part.starts_with('{') || part == segment;
    template.len() == path.len() && template.iter().zip(&path).all(same)
}
