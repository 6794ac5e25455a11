//! `drive_search`, `drive_list`, `drive_get_content`.

mod content;
mod query;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CoreTool;
use crate::google::client::Call;
use crate::google::error::ToolError;
use crate::google::request::{Product, Request};
use crate::google::text::CHARS_DEFAULT;
#[cfg(test)]
pub(super) use content::{export_request, media_request};

const FILE_FIELDS: &str = "id,name,mimeType,size,modifiedTime,owners(displayName,emailAddress),parents,driveId,\
    webViewLink,shortcutDetails(targetId,targetMimeType)";

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SearchArgs {
    /// Words to find in names and contents, or an expression in Drive's query language, e.g.
    /// `name contains 'budget' and modifiedTime > '2026-01-01T00:00:00'`.
    #[schemars(length(min = 1, max = 2000))]
    query: String,
    /// Files per page.
    #[serde(default = "page_size")]
    #[schemars(range(min = 1, max = 50))]
    max_results: u32,
    /// `nextPageToken` of the page before, with the other arguments unchanged.
    #[schemars(length(min = 1, max = 4000))]
    page_token: Option<String>,
    /// Only this shared drive.
    #[schemars(length(min = 1, max = 200))]
    drive_id: Option<String>,
    /// Also files of shared drives.
    #[serde(default = "yes")]
    include_shared_drives: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ListArgs {
    /// Identifier of a folder; `root` is "My Drive", or the top of the shared drive of `driveId`.
    #[serde(default = "root")]
    #[schemars(length(min = 1, max = 200))]
    folder_id: String,
    /// Files per page.
    #[serde(default = "page_size")]
    #[schemars(range(min = 1, max = 50))]
    max_results: u32,
    /// `nextPageToken` of the page before, with the other arguments unchanged.
    #[schemars(length(min = 1, max = 4000))]
    page_token: Option<String>,
    /// The shared drive that the folder is in.
    #[schemars(length(min = 1, max = 200))]
    drive_id: Option<String>,
    /// Also folders of shared drives.
    #[serde(default = "yes")]
    include_shared_drives: bool,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ContentArgs {
    /// `id` of a file from `drive_search` or `drive_list`, or the identifier in the file's URL.
    #[schemars(length(min = 1, max = 200))]
    file_id: String,
    /// Characters of text to return.
    #[serde(default = "chars")]
    #[schemars(range(min = 1, max = 100_000))]
    max_chars: u32,
    /// Characters of text to skip: `nextOffset` of a truncated answer.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000_000))]
    offset: u32,
}

fn page_size() -> u32 {
    10
}

fn chars() -> u32 {
    CHARS_DEFAULT
}

fn yes() -> bool {
    true
}

fn root() -> String {
    "root".to_owned()
}

/// `FileList` of Drive v3.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(default)]
    files: Vec<RawFile>,
    next_page_token: Option<String>,
    #[serde(default)]
    incomplete_search: bool,
}

/// `File` of Drive v3.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawFile {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    mime_type: String,
    size: Option<String>,
    modified_time: Option<String>,
    #[serde(default)]
    owners: Vec<RawOwner>,
    #[serde(default)]
    parents: Vec<String>,
    drive_id: Option<String>,
    web_view_link: Option<String>,
    shortcut_details: Option<Shortcut>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawOwner {
    display_name: Option<String>,
    email_address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shortcut {
    target_id: Option<String>,
}

/// A file, without its content.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct File {
    /// For `drive_get_content`; of a folder, for `drive_list`.
    id: String,
    name: String,
    mime_type: String,
    /// In bytes. Folders and shortcuts have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    modified_time: Option<String>,
    /// Files of shared drives have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    owners: Vec<String>,
    /// Folders that the file is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parents: Vec<String>,
    /// The shared drive that the file is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    drive_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    web_view_link: Option<String>,
    /// The file that this shortcut stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortcut_target: Option<String>,
}

impl From<RawFile> for File {
    fn from(raw: RawFile) -> Self {
        let owner = |owner: RawOwner| owner.email_address.or(owner.display_name);
        Self {
            id: raw.id,
            name: raw.name,
            mime_type: raw.mime_type,
            size: raw.size.and_then(|size| size.parse().ok()),
            modified_time: raw.modified_time,
            owners: raw.owners.into_iter().filter_map(owner).collect(),
            parents: raw.parents,
            drive_id: raw.drive_id,
            web_view_link: raw.web_view_link,
            shortcut_target: raw.shortcut_details.and_then(|shortcut| shortcut.target_id),
        }
    }
}

/// A page of files.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page {
    files: Vec<File>,
    /// There are more; call again with this as `pageToken`.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
    /// Google did not search all shared drives; name one with `driveId` to be sure.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete_search: bool,
}

/// Where a list looks.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    drive_id: Option<String>,
    include_shared_drives: bool,
}

#[cfg(test)]
pub(super) fn every_scope() -> Vec<Scope> {
    let scope = |drive: Option<&str>, include_shared_drives| Scope {
        drive_id: drive.map(str::to_owned),
        include_shared_drives,
    };
    vec![scope(None, true), scope(None, false), scope(Some("d"), true)]
}

pub(super) fn list_request(scope: &Scope, query: &str) -> Request {
    let shared = scope.include_shared_drives || scope.drive_id.is_some();
    let corpora = match (&scope.drive_id, shared) {
        (Some(_), _) => "drive",
        (None, true) => "allDrives",
        (None, false) => "user",
    };
    Request::new(Product::Drive, &["files"])
        .with("q", query)
        .with("corpora", corpora)
        .maybe("driveId", scope.drive_id.clone())
        .with("includeItemsFromAllDrives", shared.to_string())
        // Google requires this of every client that says it can handle shared drives; ours can.
        .with("supportsAllDrives", "true")
        .with(
            "fields",
            format!("nextPageToken,incompleteSearch,files({FILE_FIELDS})"),
        )
}

pub(super) fn file_request(id: &str) -> Request {
    Request::new(Product::Drive, &["files", id])
        .with("supportsAllDrives", "true")
        .with("fields", FILE_FIELDS)
}

async fn page(
    call: &Call<'_>,
    request: Request,
    max_results: u32,
    token: Option<String>,
) -> Result<Page, ToolError> {
    let request = request
        .with("pageSize", max_results.to_string())
        .maybe("pageToken", token);
    let listing: Listing = call.json(&request).await?;
    Ok(Page {
        files: listing.files.into_iter().map(File::from).collect(),
        next_page_token: listing.next_page_token,
        incomplete_search: listing.incomplete_search,
    })
}

/// `drive_search`.
pub(super) struct Search;

impl CoreTool for Search {
    const NAME: &'static str = "drive_search";
    const TITLE: &'static str = "Search files";
    const DESCRIPTION: &'static str = "Searches Google Drive, shared drives included, by words in names and \
        contents or by an expression in Drive's query language (name contains '…', mimeType = '…', \
        modifiedTime > '…', 'ana@example.com' in owners). Files in the bin are left out. Read a hit with \
        `drive_get_content`, `docs_get_content` or `sheets_get_values`.";
    type Args = SearchArgs;
    type Output = Page;

    async fn run(call: &Call<'_>, args: SearchArgs) -> Result<Page, ToolError> {
        let scope = Scope {
            drive_id: args.drive_id,
            include_shared_drives: args.include_shared_drives,
        };
        let request = list_request(&scope, &query::search(&args.query));
        page(call, request, args.max_results, args.page_token).await
    }
}

/// `drive_list`.
pub(super) struct List;

impl CoreTool for List {
    const NAME: &'static str = "drive_list";
    const TITLE: &'static str = "List a folder";
    const DESCRIPTION: &'static str = "Lists the files and folders in a Google Drive folder, folders first: by \
        default the top of \"My Drive\". Use `drive_search` to look for a file in all folders.";
    type Args = ListArgs;
    type Output = Page;

    async fn run(call: &Call<'_>, args: ListArgs) -> Result<Page, ToolError> {
        // The top folder of a shared drive has the identifier of the drive.
        let folder = match &args.drive_id {
            Some(drive) if args.folder_id == "root" => drive.clone(),
            _ => args.folder_id,
        };
        let scope = Scope {
            drive_id: args.drive_id,
            include_shared_drives: args.include_shared_drives,
        };
        let request = list_request(&scope, &query::children(&folder)).with("orderBy", "folder,name_natural");
        page(call, request, args.max_results, args.page_token).await
    }
}

/// `drive_get_content`.
pub(super) struct GetContent;

impl CoreTool for GetContent {
    const NAME: &'static str = "drive_get_content";
    const TITLE: &'static str = "Read a file";
    const DESCRIPTION: &'static str = "Reads a Google Drive file as text: Google Docs as Markdown, the first \
        sheet of Google Sheets as CSV, Google Slides as plain text, and text files (code, CSV, JSON, HTML, \
        Markdown). Of PDFs, images and other binary files it only tells name, type, size and link. A text \
        longer than `maxChars` is cut; `nextOffset` in the answer tells where to go on.";
    type Args = ContentArgs;
    type Output = content::Content;

    async fn run(call: &Call<'_>, args: ContentArgs) -> Result<content::Content, ToolError> {
        content::read(call, &args).await
    }
}
