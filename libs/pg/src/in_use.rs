//! A connection that somebody works on.

use std::ops::{Deref, DerefMut};

use deadpool_postgres::Object;

/// A connection that leaves the pool and is closed unless it is given back: whoever is cut off leaves statements, or a whole
/// transaction, on it, and the next one would have to wait for that.
pub(crate) struct InUse(Option<Object>);

impl InUse {
    pub(crate) fn new(connection: Object) -> Self {
        Self(Some(connection))
    }

    /// Gives it back to the pool: nothing runs on it, and no transaction is open.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Deref for InUse {
    type Target = Object;

    fn deref(&self) -> &Object {
        self.0.as_ref().expect("it is there until it is given back")
    }
}

impl DerefMut for InUse {
    fn deref_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("it is there until it is given back")
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        drop(self.0.take().map(Object::take));
    }
}
