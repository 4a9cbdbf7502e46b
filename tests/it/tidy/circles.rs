//! No files that use each other in a circle: one that is read then leads to all of them.
//!
//! Two that lie beside each other may; each is then short of being one file.

use super::keep;
use super::tree::{Arrow, Tree};

/// Folders that are a circle by what they are. A model is what offers the parts of all verbs, and a verb is asked of a
/// model: the list of verbs, what a verb is, and the verbs name each other. No row may be added.
const KNOTS: &[&str] = &["crates/models/src/verbs/"];

#[test]
fn no_more_than_two_files_use_each_other_in_a_circle() {
    let tree = Tree::read();
    let mut arrows = tree.arrows();
    arrows.retain(|arrow| !arrow.reexport);
    let circles = circles(tree.files.len(), &arrows);
    let mut breaches = Vec::new();
    let mut idle = KNOTS.to_vec();
    for circle in circles.iter().filter(|circle| circle.len() > 2) {
        let inside = |knot: &str| {
            circle
                .iter()
                .all(|at| tree.files[*at].path.starts_with(knot))
        };
        if let Some(knot) = KNOTS.iter().find(|knot| inside(knot)) {
            idle.retain(|left| left != knot);
            continue;
        }
        breaches.push(format!("{} files:", circle.len()));
        for arrow in round(circle, &arrows) {
            let (from, to) = (&tree.files[arrow.from].path, &tree.files[arrow.to].path);
            breaches.push(format!("  {from}:{}: uses {to}", arrow.line));
        }
    }
    breaches.extend(
        idle.iter()
            .map(|knot| format!("{knot}: no circle is left; take it out of KNOTS")),
    );
    keep(
        "No circle of more than two files: move what both need to a file below them.",
        &breaches,
    );
}

/// The sets of files that reach each other (strongly connected components, found by reachability).
fn circles(count: usize, arrows: &[Arrow]) -> Vec<Vec<usize>> {
    let reach: Vec<Vec<bool>> = (0..count)
        .map(|from| reached(from, count, arrows))
        .collect();
    let mut placed = vec![false; count];
    let mut circles = Vec::new();
    for (from, reached) in reach.iter().enumerate() {
        let circle: Vec<usize> = (from..count)
            .filter(|to| !placed[*to] && reached[*to] && reach[*to][from])
            .collect();
        circle.iter().for_each(|at| placed[*at] = true);
        circles.push(circle);
    }
    circles
}

fn reached(from: usize, count: usize, arrows: &[Arrow]) -> Vec<bool> {
    let (mut reached, mut open) = (vec![false; count], vec![from]);
    while let Some(at) = open.pop() {
        let ends = arrows
            .iter()
            .filter(|arrow| arrow.from == at)
            .map(|arrow| arrow.to);
        open.extend(ends.filter(|to| !std::mem::replace(&mut reached[*to], true)));
    }
    reached
}

/// The first arrow from each file of the circle to each other that it uses.
fn round(circle: &[usize], arrows: &[Arrow]) -> Vec<Arrow> {
    let mut seen = Vec::new();
    let inside = |arrow: &&Arrow| circle.contains(&arrow.from) && circle.contains(&arrow.to);
    let arrows = arrows.iter().filter(inside).copied();
    arrows
        .filter(|arrow| {
            let pair = (arrow.from, arrow.to);
            let new = !seen.contains(&pair);
            seen.push(pair);
            new
        })
        .collect()
}
