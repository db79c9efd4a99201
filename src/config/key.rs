//! [`Key`]: a key of the file, with its name, the sections that have it, and access to the field
//! that it sets. Pure.

use std::fmt;

use super::address::Address;
use super::destination::Destination;
use super::model::Config;
use super::value::ValueKind;
use crate::encode::namespace::Namespace;

/// One key of the file.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    /// The sections that have the key. Only keys of destinations have several.
    pub uses: &'static [KeyUse],
    pub(super) applies: Applies,
    /// The least value, if the key is derived from `max_memory` where the file leaves it empty. The
    /// default is then the most.
    pub(super) least_derived: Option<usize>,
    pub(super) field: FieldOf,
}

/// A key in one of its sections.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse {
    pub section: &'static str,
    pub default: &'static str,
}

/// When another value of a key is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applies {
    /// At the next reload.
    Reload,
    /// At the next start. A reload keeps the value. If the key is one of a destination, a reload
    /// keeps the whole destination.
    Restart,
}

/// Access to the field that a key sets, in the object that owns it. A configuration has several
/// name spaces and destinations, so the caller must also give their index.
#[derive(Clone, Copy)]
pub(super) enum FieldOf {
    Config(&'static dyn Access<Config>),
    Namespace(&'static dyn Access<Namespace>),
    Destination(&'static dyn Access<Destination>),
}

/// Reads, shows and compares one field of an `Owner`.
pub(super) trait Access<Owner> {
    /// Sets the field to the value that `text` stands for. Returns what was expected and what was
    /// found if it stands for none.
    fn set(&self, owner: &mut Owner, text: &str) -> Result<(), String>;
    /// Returns the value as the file writes it.
    fn get(&self, owner: &Owner) -> String;
    fn is_same(&self, one: &Owner, other: &Owner) -> bool;
    /// Copies the field from one owner to another.
    fn copy(&self, to: &mut Owner, from: &Owner);
    /// Returns the field if it is a number, which `max_memory` may set.
    fn number<'a>(&self, _owner: &'a Owner) -> Option<&'a usize> {
        None
    }
    /// As [`number`](Self::number).
    fn number_mut<'a>(&self, _owner: &'a mut Owner) -> Option<&'a mut usize> {
        None
    }
}

/// A field of type `T` that the file writes as the value kind `K`.
pub(super) struct Member<Owner, T, K> {
    pub(super) of: fn(&Owner) -> &T,
    pub(super) of_mut: fn(&mut Owner) -> &mut T,
    pub(super) kind: K,
}

impl<Owner, T: Clone + PartialEq + 'static, K: ValueKind<T>> Access<Owner> for Member<Owner, T, K> {
    fn set(&self, owner: &mut Owner, text: &str) -> Result<(), String> {
        *(self.of_mut)(owner) = self.kind.read_or_explain(text)?;
        Ok(())
    }

    fn get(&self, owner: &Owner) -> String {
        self.kind.show((self.of)(owner))
    }

    fn is_same(&self, one: &Owner, other: &Owner) -> bool {
        (self.of)(one) == (self.of)(other)
    }

    fn copy(&self, to: &mut Owner, from: &Owner) {
        (self.of_mut)(to).clone_from((self.of)(from));
    }

    fn number<'a>(&self, owner: &'a Owner) -> Option<&'a usize> {
        self.kind.number((self.of)(owner))
    }

    fn number_mut<'a>(&self, owner: &'a mut Owner) -> Option<&'a mut usize> {
        self.kind.number_mut((self.of_mut)(owner))
    }
}

impl Key {
    /// Sets the key in the section with this index, which is ignored for keys that exist once.
    /// Returns what was expected and what was found if `text` is not a value of the key.
    pub(super) fn set(&self, config: &mut Config, at: usize, text: &str) -> Result<(), String> {
        match self.field {
            FieldOf::Config(field) => field.set(config, text),
            FieldOf::Namespace(field) => field.set(&mut config.namespaces[at], text),
            FieldOf::Destination(field) => field.set(&mut config.destinations[at], text),
        }
    }

    /// Returns the value of the key in the section with this index, as the file writes it.
    pub(super) fn get(&self, config: &Config, at: usize) -> String {
        match self.field {
            FieldOf::Config(field) => field.get(config),
            FieldOf::Namespace(field) => field.get(&config.namespaces[at]),
            FieldOf::Destination(field) => field.get(&config.destinations[at]),
        }
    }

    /// Returns the value of the key in the section with this index if it is a number.
    pub(super) fn number(&self, config: &Config, at: usize) -> Option<usize> {
        let number = match self.field {
            FieldOf::Config(field) => field.number(config),
            FieldOf::Namespace(field) => field.number(&config.namespaces[at]),
            FieldOf::Destination(field) => field.number(&config.destinations[at]),
        };
        number.copied()
    }

    /// As [`number`](Self::number), to set it.
    pub(super) fn number_mut<'a>(
        &self,
        config: &'a mut Config,
        at: usize,
    ) -> Option<&'a mut usize> {
        match self.field {
            FieldOf::Config(field) => field.number_mut(config),
            FieldOf::Namespace(field) => field.number_mut(&mut config.namespaces[at]),
            FieldOf::Destination(field) => field.number_mut(&mut config.destinations[at]),
        }
    }

    /// Whether the key has the same value in a section of one configuration and one of another.
    pub(super) fn is_same(
        &self,
        (one, at): (&Config, usize),
        (other, other_at): (&Config, usize),
    ) -> bool {
        match self.field {
            FieldOf::Config(field) => field.is_same(one, other),
            FieldOf::Namespace(field) => {
                field.is_same(&one.namespaces[at], &other.namespaces[other_at])
            }
            FieldOf::Destination(field) => {
                field.is_same(&one.destinations[at], &other.destinations[other_at])
            }
        }
    }

    /// Copies the value of a key that a configuration has once. Does nothing for keys of name
    /// spaces and destinations, whose indices may differ between the two.
    pub(super) fn copy(&self, to: &mut Config, from: &Config) {
        if let FieldOf::Config(field) = self.field {
            field.copy(to, from);
        }
    }

    /// Whether an empty value means that the key is derived from `max_memory`.
    pub fn is_derived(&self) -> bool {
        self.least_derived.is_some()
    }

    /// Returns the default of the key in one of its sections. Returns an empty text if the section
    /// does not have the key.
    pub(super) fn default_in(&self, section: &str) -> &'static str {
        self.use_in(section).map_or("", |used| used.default)
    }

    pub(super) fn use_in(&self, section: &str) -> Option<&'static KeyUse> {
        self.uses.iter().find(|used| used.section == section)
    }
}

impl fmt::Debug for FieldOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldOf")
    }
}

/// Access to the address of a destination. It is not a plain [`Member`], because an address without
/// a port gets the port of the destination's protocol.
pub(super) struct AddressOf;

impl Access<Destination> for AddressOf {
    fn set(&self, to: &mut Destination, text: &str) -> Result<(), String> {
        if let (Some(port), Some(net)) = (to.kind.port(), &mut to.net) {
            net.remote = Address(port).read_or_explain(text)?;
        }
        Ok(())
    }

    fn get(&self, to: &Destination) -> String {
        let net = to.net.as_ref();
        net.map_or_else(String::new, |net| Address(net.remote.port).show(&net.remote))
    }

    fn is_same(&self, one: &Destination, other: &Destination) -> bool {
        one.net.as_ref().map(|net| &net.remote) == other.net.as_ref().map(|net| &net.remote)
    }

    fn copy(&self, to: &mut Destination, from: &Destination) {
        if let (Some(net), Some(other)) = (&mut to.net, &from.net) {
            net.remote.clone_from(&other.remote);
        }
    }
}
