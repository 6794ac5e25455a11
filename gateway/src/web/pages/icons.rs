//! Line icons as inline SVG, drawn in the colour of the text beside them.

use maud::{Markup, PreEscaped, html};

/// What an icon shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Icon {
    /// A mouse pointer.
    Pointer,
    /// Angle brackets.
    Code,
    /// A shell prompt.
    Terminal,
    /// An envelope.
    Mail,
    /// A calendar sheet.
    Calendar,
    /// A folder.
    Folder,
    /// A page of text.
    Document,
    /// A grid.
    Table,
    /// A person.
    Person,
}

impl Icon {
    /// The strokes within a square of 24 units.
    fn path(self) -> &'static str {
        match self {
            Self::Pointer => "M5 3.5l14.5 6.8-6.2 2.2-2.6 6.2z",
            Self::Code => "M8.5 7 3.5 12l5 5M15.5 7l5 5-5 5",
            Self::Terminal => "M4.5 7l5 5-5 5M12 17.5h7.5",
            Self::Mail => {
                "M3.5 6.5a1 1 0 0 1 1-1h15a1 1 0 0 1 1 1v11a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1zM4 7l8 6 8-6"
            }
            Self::Calendar => {
                "M4 6.5a1 1 0 0 1 1-1h14a1 1 0 0 1 1 1v12a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1zM4 10h16M8.5 3.5v4M15.5 3.5v4"
            }
            Self::Folder => {
                "M3.5 7a1 1 0 0 1 1-1h5l2 2.5h8a1 1 0 0 1 1 1V18a1 1 0 0 1-1 1h-15a1 1 0 0 1-1-1z"
            }
            Self::Document => {
                "M6 4.5a1 1 0 0 1 1-1h7l4 4v12a1 1 0 0 1-1 1H7a1 1 0 0 1-1-1zM13.5 4v4H18M9 12.5h6M9 16h6"
            }
            Self::Table => {
                "M4 5.5a1 1 0 0 1 1-1h14a1 1 0 0 1 1 1v13a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1zM4 9.5h16M4 14.5h16M10 4.5v15"
            }
            Self::Person => "M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5zM4.5 20a7.5 7.5 0 0 1 15 0",
        }
    }
}

/// The icon as an element that screen readers skip: the words beside it say the same.
pub fn svg(icon: Icon) -> Markup {
    html! {
        svg.icon viewBox="0 0 24 24" width="20" height="20" fill="none" stroke="currentColor" stroke-width="1.75"
            stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" {
            path d=(icon.path()) {}
        }
    }
}

/// The mark of the gateway: many lines in, one out.
const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" class="logo" viewBox="0 0 32 32" width="32" height="32" aria-hidden="true"><rect width="32" height="32" rx="9" fill="#1f4fd8"/><path d="M7 9.5h4.5c4 0 3.5 6.5 7 6.5M7 22.5h4.5c4 0 3.5-6.5 7-6.5M7 16h11" fill="none" stroke="#fff" stroke-width="2.2" stroke-linecap="round"/><circle cx="22.5" cy="16" r="3.2" fill="#fff"/></svg>"##;

/// The same mark as a `data:` URL.
pub const FAVICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'%3E%3Crect width='32' height='32' rx='9' fill='%231f4fd8'/%3E%3Cpath d='M7 9.5h4.5c4 0 3.5 6.5 7 6.5M7 22.5h4.5c4 0 3.5-6.5 7-6.5M7 16h11' fill='none' stroke='%23fff' stroke-width='2.2' stroke-linecap='round'/%3E%3Ccircle cx='22.5' cy='16' r='3.2' fill='%23fff'/%3E%3C/svg%3E";

/// The mark as an element.
pub fn logo() -> Markup {
    PreEscaped(LOGO.to_owned())
}
