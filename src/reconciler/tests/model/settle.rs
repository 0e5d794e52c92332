//! Whether everything settles: from every situation that was reached, with nothing more going wrong, the steps lead into a
//! circle in which status and world agree, and in which nothing is written.
//!
//! Each situation has one step that is made when nothing goes wrong, so the situations form a graph in which every way ends
//! in a circle; only the circles are judged.

use super::explore::{Broken, NONE, Search};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the way that is being followed.
    Here,
    Fine,
}

impl Search {
    /// Judges all circles. Returns how many there are.
    pub(super) fn settles(&self) -> Result<usize, Broken> {
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut circles = 0;
        for start in 0..self.nodes.len() {
            let mut followed = Vec::new();
            let mut at = start;
            while marks[at] == Mark::New {
                marks[at] = Mark::Here;
                followed.push(at);
                match self.nodes[at].next {
                    NONE => break,
                    next => at = next as usize,
                }
            }
            if self.nodes[at].next == NONE && marks[at] == Mark::Here {
                self.ends(at)?;
            } else if marks[at] == Mark::Here {
                circles += 1;
                let from = followed.iter().position(|node| *node == at).unwrap_or(0);
                self.circle(&followed[from..])?;
            }
            for node in followed {
                marks[node] = Mark::Fine;
            }
        }
        Ok(circles)
    }

    /// Nothing follows, which is fine where nothing is left to be watched.
    fn ends(&self, at: usize) -> Result<(), Broken> {
        let node = &self.nodes[at];
        if node.quiet && node.agrees {
            return Ok(());
        }
        Err(self.broken(
            node.way,
            "nothing follows, and status and world differ".to_owned(),
        ))
    }

    fn circle(&self, circle: &[usize]) -> Result<(), Broken> {
        let nodes = || circle.iter().map(|at| &self.nodes[*at]);
        let first = self.nodes[circle[0]].way;
        if let Some(node) = nodes().find(|node| node.quiet && !node.agrees) {
            let why = "it settles, and status and world differ".to_owned();
            return Err(self.broken(node.way, why));
        }
        if !nodes().any(|node| node.quiet) {
            return Err(self.broken(first, format!("{} steps go round for ever", circle.len())));
        }
        if let Some(node) = nodes().find(|node| node.writes) {
            return Err(self.broken(node.way, "a status is written again and again".to_owned()));
        }
        Ok(())
    }
}
