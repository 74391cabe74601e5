//! Something for each chain that rows belong to. Rows of one chain come in runs, so the chain found last is tried first.

use std::collections::HashMap;

#[derive(Clone)]
pub(crate) struct ByName<T> {
    names: Vec<Vec<u8>>,
    values: Vec<T>,
    index: HashMap<Vec<u8>, usize>,
    last: usize,
}

impl<T> ByName<T> {
    pub(crate) fn new() -> Self {
        Self { names: Vec::new(), values: Vec::new(), index: HashMap::new(), last: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&T> {
        self.find(name).map(|place| &self.values[place])
    }

    pub(crate) fn get_mut(&mut self, name: &[u8]) -> Option<&mut T> {
        self.last = self.find(name)?;
        Some(&mut self.values[self.last])
    }

    /// For a name that is not there yet.
    pub(crate) fn insert(&mut self, name: &[u8], value: T) -> &mut T {
        self.last = self.names.len();
        self.index.insert(name.to_vec(), self.last);
        self.names.push(name.to_vec());
        self.values.push(value);
        &mut self.values[self.last]
    }

    pub(crate) fn or_insert_with(&mut self, name: &[u8], make: impl FnOnce() -> T) -> &mut T {
        match self.find(name) {
            Some(place) => {
                self.last = place;
                &mut self.values[place]
            }
            None => self.insert(name, make()),
        }
    }

    /// In the order in which they came.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &T)> {
        self.names.iter().map(Vec::as_slice).zip(&self.values)
    }

    fn find(&self, name: &[u8]) -> Option<usize> {
        match self.names.get(self.last) {
            Some(last) if last == name => Some(self.last),
            _ => self.index.get(name).copied(),
        }
    }
}
