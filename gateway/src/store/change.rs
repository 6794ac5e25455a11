//! Changes of single attributes of a row that many tasks write: each names its own, so that none undoes another's.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::item::{Item, number, text};
use super::keys::{Key, PK};
use super::{Result, Store, StoreError};

/// Attributes that one update removes; an update expression has at most 4 KB.
pub(super) const MAX_REMOVED: usize = 100;

impl Store {
    /// Changes attributes of a row, which is made when missing.
    pub(super) async fn change(&self, key: &Key, change: Change) -> Result<Item> {
        let expression = change.expression();
        let request = self.0.db.client().await?.update_item();
        let answer = request
            .table_name(self.0.db.name(key.table))
            .key(PK, text(&key.pk))
            .update_expression(expression)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values).filter(|values| !values.is_empty()))
            .return_values(ReturnValue::AllNew)
            .send();
        let changed = answer.await.map_err(StoreError::from_engine)?.attributes;
        Ok(changed.unwrap_or_default())
    }
}

/// An update of single attributes, whose names are data and so go beside the expression.
#[derive(Default)]
pub(super) struct Change {
    set: Vec<String>,
    remove: Vec<String>,
    add: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Change {
    pub(super) fn set(mut self, name: &str, value: AttributeValue) -> Self {
        let (name, slot) = self.place(name);
        self.values.insert(slot.clone(), value);
        self.set.push(format!("{name} = {slot}"));
        self
    }

    pub(super) fn remove(mut self, name: &str) -> Self {
        let (name, _) = self.place(name);
        self.remove.push(name);
        self
    }

    pub(super) fn count(mut self, name: &str) -> Self {
        let (name, slot) = self.place(name);
        self.values.insert(slot.clone(), number(1));
        self.add.push(format!("{name} {slot}"));
        self
    }

    /// What stands for a name and for its value in the expression.
    fn place(&mut self, name: &str) -> (String, String) {
        let position = self.names.len();
        let placeholder = format!("#n{position}");
        self.names.insert(placeholder.clone(), name.to_owned());
        (placeholder, format!(":v{position}"))
    }

    fn expression(&self) -> String {
        let clauses = [("SET", &self.set), ("REMOVE", &self.remove), ("ADD", &self.add)];
        let clauses: Vec<_> = clauses
            .into_iter()
            .filter(|(_, actions)| !actions.is_empty())
            .map(|(verb, actions)| format!("{verb} {}", actions.join(", ")))
            .collect();
        clauses.join(" ")
    }
}
