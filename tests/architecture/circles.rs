//! Circles of a directed graph: its strongly connected components of more than one node (Tarjan's algorithm).

use std::collections::{BTreeMap, BTreeSet};

pub type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The circles, the largest first, their members in order of name.
pub fn circles(arrows: &Arrows) -> Vec<Vec<String>> {
    let mut search = Search { arrows, number: BTreeMap::new(), low: BTreeMap::new(), stack: Vec::new(), found: vec![] };
    for node in arrows.keys() {
        if !search.number.contains_key(node.as_str()) {
            search.visit(node);
        }
    }
    let mut found = search.found;
    found.sort_by_key(|circle| (std::cmp::Reverse(circle.len()), circle[0].clone()));
    found
}

struct Search<'a> {
    arrows: &'a Arrows,
    /// Order of discovery.
    number: BTreeMap<&'a str, usize>,
    /// The earliest node of the stack that can be reached.
    low: BTreeMap<&'a str, usize>,
    stack: Vec<&'a str>,
    found: Vec<Vec<String>>,
}

impl<'a> Search<'a> {
    fn visit(&mut self, node: &'a str) {
        let number = self.number.len();
        self.number.insert(node, number);
        self.low.insert(node, number);
        self.stack.push(node);
        for next in self.arrows.get(node).into_iter().flatten() {
            if !self.number.contains_key(next.as_str()) {
                self.visit(next);
                self.low.insert(node, self.low[node].min(self.low[next.as_str()]));
            } else if self.stack.contains(&next.as_str()) {
                self.low.insert(node, self.low[node].min(self.number[next.as_str()]));
            }
        }
        if self.low[node] == number {
            let start = self.stack.iter().position(|n| *n == node).unwrap_or(0);
            let mut circle: Vec<String> = self.stack.drain(start..).map(String::from).collect();
            circle.sort();
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
    }
}
