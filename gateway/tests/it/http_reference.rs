//! `docs/reference/http.md` lists the routes that there are: no more and no fewer.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::support::{TestApp, start};

const PAGE: &str = include_str!("../../../docs/reference/http.md");

#[tokio::test]
async fn the_page_lists_every_path_that_is_routed_and_no_other() {
    let app = start().await;
    let documented: BTreeSet<_> = documented().into_keys().collect();
    assert_eq!(documented, routed(&app));
}

#[tokio::test]
async fn each_path_takes_the_methods_that_the_page_lists_and_no_other() {
    let app = start().await;
    for (path, methods) in documented() {
        // A token for another path would hide the method behind a 401.
        let token = app.token_for("1001", &path);
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            let request = app.request(method.clone(), &path, &token);
            let status = request.send().await.unwrap().status().as_u16();
            assert_eq!(
                status != 405,
                methods.contains(method.as_str()),
                "{method} {path}: {status}"
            );
        }
    }
}

/// Paths and their methods: rows that begin with `` | `GET` | `/path` | ``.
fn documented() -> BTreeMap<String, BTreeSet<&'static str>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for line in PAGE.lines() {
        let cells: Vec<_> = line
            .split('|')
            .map(|cell| cell.trim().trim_matches('`'))
            .collect();
        if let ["", method, path, ..] = cells.as_slice()
            && path.starts_with('/')
        {
            found.entry((*path).to_owned()).or_default().insert(*method);
        }
    }
    found
}

/// The paths of the router itself, which it tells in its debug form only.
fn routed(app: &TestApp) -> BTreeSet<String> {
    let router = format!("{:?}", gateway::web::router(app.app.clone()));
    let (_, paths) = router.split_once("paths: {").unwrap();
    let (paths, _) = paths.split_once('}').unwrap();
    paths.split('"').skip(1).step_by(2).map(str::to_owned).collect()
}
