//! The shape that lists within lists have, as they are read.

/// Lists within lists, at most, in one row.
pub(in crate::api) const DEEPEST: usize = 5;

/// What is known so far of lists that should all be alike.
#[derive(Debug, Default)]
pub(in crate::api) struct Nesting {
    /// Items of each list that is so deep.
    sides: [Option<usize>; DEEPEST],
    /// How deep the lists are that hold numbers.
    deepest: Option<usize>,
    uneven: bool,
}

impl Nesting {
    /// A number stands in a list that is `depth` lists deep; the outermost is 1 deep.
    #[inline]
    pub fn number(&mut self, depth: usize) {
        let known = *self.deepest.get_or_insert(depth);
        self.uneven |= known != depth;
    }

    /// Such a list ends here, behind so many items.
    #[inline]
    pub fn list(&mut self, depth: usize, items: usize) {
        let Some(side) = depth.checked_sub(1).and_then(|at| self.sides.get_mut(at)) else {
            return;
        };
        self.uneven |= *side.get_or_insert(items) != items;
    }

    /// Whether lists of the same depth differ, or numbers stand beside lists.
    pub fn is_uneven(&self) -> bool {
        let below = self.sides.iter().skip(self.deepest.unwrap_or(DEEPEST));
        self.uneven || below.flatten().next().is_some()
    }

    /// Items at each depth.
    pub fn shape(&self) -> Vec<usize> {
        self.sides.iter().map_while(|side| *side).collect()
    }
}
