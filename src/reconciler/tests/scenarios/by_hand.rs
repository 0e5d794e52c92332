//! Scenarios in which nothing arrives by itself: each message is let through, delayed or lost by a line of its own.
//!
//! The model prints its counterexamples so. Every call and every status is judged by the ghost, as in the model, and
//! `settles` judges how it ends. Nothing here decides what is right.

use super::grammar::Table;
use super::story::{Rule, Story, Wrong};

/// Every line of such a scenario that no other scenario has.
pub(super) const ALL: Table<Rule> = &[
    ("by hand", |story, _| {
        story.scene.by_hand();
        Ok(())
    }),
    ("arrives: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.arrive(at))
    }),
    ("late: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.delay(at))
    }),
    ("answered late: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.dawdle(at))
    }),
    ("answer lost: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.lose(at, true))
    }),
    ("lost: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.lose(at, false))
    }),
    ("refused: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.refuse(at))
    }),
    ("twice: TEXT", |story, args| {
        message(story, &args.rest, |story, at| story.scene.double(at))
    }),
    ("the operator wakes", |story, _| {
        story.scene.wake();
        Ok(())
    }),
    ("the watch begins anew", |story, _| {
        story.scene.relist_now();
        Ok(())
    }),
    ("the operator dies when COUNT were taken", |story, args| {
        story.scene.crash(args.count as usize);
        Ok(())
    }),
    ("the operator dies before its calls arrive", |story, _| {
        story.scene.crash_before();
        Ok(())
    }),
    ("the operator dies and is told of what was", |story, _| {
        story.scene.crash_stale();
        Ok(())
    }),
    ("recreate NAME", |story, args| {
        story.others(|world| world.recreate(args.name()));
        Ok(())
    }),
    ("settles", |story, _| {
        story.scene.settle().map_err(|was| Wrong {
            expected: "status and world agree, and nothing is written any more".to_owned(),
            was,
        })
    }),
];

fn message(
    story: &mut Story,
    name: &str,
    what: impl FnOnce(&mut Story, usize),
) -> Result<(), Wrong> {
    let at = story.scene.find(name).map_err(|was| Wrong {
        expected: name.to_owned(),
        was,
    })?;
    what(story, at);
    Ok(())
}
