//! `docs_get_content`.

#![expect(clippy::struct_field_names, reason = "the names are those of Google's API")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CoreTool;
use crate::google::client::Call;
use crate::google::error::ToolError;
use crate::google::outline::Tab;
use crate::google::request::{Product, Request};
use crate::google::text::{CHARS_DEFAULT, TextWindow};

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Args {
    /// Identifier of the document: the part of its URL after `/document/d/`.
    #[schemars(length(min = 1, max = 200))]
    document_id: String,
    /// Only this tab. Default: all tabs, one after the other.
    #[schemars(length(min = 1, max = 200))]
    tab_id: Option<String>,
    /// Characters of text to return.
    #[serde(default = "chars")]
    #[schemars(range(min = 1, max = 100_000))]
    max_chars: u32,
    /// Characters of text to skip: `nextOffset` of a truncated answer.
    #[serde(default)]
    #[schemars(range(min = 0, max = 100_000_000))]
    offset: u32,
}

fn chars() -> u32 {
    CHARS_DEFAULT
}

/// `Document` of Docs v1.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    document_id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    tabs: Vec<Tab>,
}

/// The text of a document.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Content {
    document_id: String,
    title: String,
    /// All tabs of the document.
    tabs: Vec<TabInfo>,
    #[serde(flatten)]
    window: TextWindow,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct TabInfo {
    tab_id: String,
    title: String,
    /// 0 for a tab at the top.
    level: u32,
    /// Characters of text.
    chars: usize,
}

pub(super) fn request(document: &str) -> Request {
    Request::new(Product::Docs, &["documents", document])
        .with("includeTabsContent", "true")
        // The text as it stands, without suggestions that nobody has accepted.
        .with("suggestionsViewMode", "PREVIEW_WITHOUT_SUGGESTIONS")
        .with(
            "fields",
            "documentId,title,tabs(tabProperties,documentTab(body,lists,footnotes),childTabs)",
        )
}

/// `docs_get_content`.
pub(super) struct GetContent;

impl CoreTool for GetContent {
    const NAME: &'static str = "docs_get_content";
    const TITLE: &'static str = "Read a document";
    const DESCRIPTION: &'static str = "Reads a Google Docs document as text with headings, lists, tables and \
        links in Markdown's notation, all tabs or one of them. A text longer than `maxChars` is cut; \
        `nextOffset` in the answer tells where to go on. For other file types use `drive_get_content`.";
    type Args = Args;
    type Output = Content;

    async fn run(call: &Call<'_>, args: Args) -> Result<Content, ToolError> {
        let document: Document = call.json(&request(&args.document_id)).await?;
        document.read(&args)
    }
}

impl Document {
    fn read(self, args: &Args) -> Result<Content, ToolError> {
        let tabs: Vec<_> = self.tabs.iter().flat_map(Tab::flattened).collect();
        let texts: Vec<_> = tabs.iter().map(|tab| tab.text()).collect();
        let infos: Vec<_> = tabs
            .iter()
            .zip(&texts)
            .map(|(tab, text)| info(tab, text))
            .collect();
        let whole = match &args.tab_id {
            Some(id) => {
                let index = infos.iter().position(|tab| tab.tab_id == *id);
                let text = index.and_then(|index| texts.into_iter().nth(index));
                text.ok_or_else(|| no_such_tab(id, &infos))?
            }
            None if infos.len() > 1 => {
                let headed = infos
                    .iter()
                    .zip(&texts)
                    .map(|(tab, text)| format!("=== Tab: {} ({}) ===\n\n{text}", tab.title, tab.tab_id));
                headed.collect::<Vec<_>>().join("\n\n")
            }
            None => texts.concat(),
        };
        Ok(Content {
            document_id: self.document_id,
            title: self.title,
            tabs: infos,
            window: TextWindow::cut(&whole, args.offset, args.max_chars),
        })
    }
}

fn info(tab: &Tab, text: &str) -> TabInfo {
    let properties = &tab.tab_properties;
    TabInfo {
        tab_id: properties.tab_id.clone(),
        title: properties.title.clone(),
        level: properties.nesting_level,
        chars: text.chars().count(),
    }
}

fn no_such_tab(id: &str, tabs: &[TabInfo]) -> ToolError {
    let known: Vec<_> = tabs
        .iter()
        .map(|tab| format!("{} ({})", tab.tab_id, tab.title))
        .collect();
    ToolError::argument("tabId", format!("the document has no tab `{id}`"))
        .hinting(format!("its tabs are: {}", known.join(", ")))
}
