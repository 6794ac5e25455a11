//! Every tool that a client can call, whoever does the work.

use std::collections::HashSet;

use rmcp::model::{CallToolResult, JsonObject, Tool};

use crate::clock::Clock;
use crate::google::Google;
#[cfg(debug_assertions)]
use crate::mcp::test_tools;
use crate::mcp::wait;
use crate::model::call::CallContext;
#[cfg(debug_assertions)]
use crate::store::Store;

/// The tools of this gateway. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Tools {
    google: Google,
    clock: Clock,
    /// What the tools for tests need, if they are wanted. Release builds do not have them.
    #[cfg(debug_assertions)]
    for_tests: Option<Store>,
}

impl Tools {
    /// Google's tools alone.
    #[cfg(not(debug_assertions))]
    pub fn new(google: Google, clock: Clock) -> Self {
        Self { google, clock }
    }

    /// Google's tools, and those for tests if they are wanted.
    #[cfg(debug_assertions)]
    pub fn new(google: Google, clock: Clock, for_tests: Option<Store>) -> Self {
        Self {
            google,
            clock,
            for_tests,
        }
    }

    /// All tools, in the order of `tools/list`.
    pub fn list(&self) -> Vec<Tool> {
        let tools = self.google.tools().to_vec();
        #[cfg(debug_assertions)]
        let tools = if self.for_tests.is_some() {
            [tools, test_tools::list()].concat()
        } else {
            tools
        };
        tools
    }

    /// The names of all that can be called: what is listed, and [`wait`].
    pub fn names(&self) -> HashSet<String> {
        let listed = self.list().into_iter().map(|tool| tool.name.into_owned());
        listed.chain([wait::NAME.to_owned()]).collect()
    }

    /// Calls a tool. `None`: there is no such tool.
    pub async fn call(
        &self,
        context: &CallContext,
        name: &str,
        arguments: JsonObject,
    ) -> Option<CallToolResult> {
        #[cfg(debug_assertions)]
        if let Some(store) = self
            .for_tests
            .as_ref()
            .filter(|_| name.starts_with(test_tools::PREFIX))
        {
            return test_tools::call(context, name, &arguments, store).await;
        }
        if name == wait::NAME {
            return Some(wait::call(context, &arguments, &self.clock).await);
        }
        self.google.call(context, name, arguments).await
    }
}
