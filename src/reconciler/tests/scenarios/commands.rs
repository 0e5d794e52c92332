//! The lines of a scenario that stand at the margin: what is so, what people and others do, and how time passes.
//!
//! Nothing is expected here, but by `never`, which speaks of all calls of the scenario.

use super::calls::{KINDS, Made};
use super::grammar::{Args, Table};
use super::story::{Rule, Wrong};
use super::{sentences, wishes};
use crate::reconciler::input::Input;
use crate::reconciler::tests::world::key;

/// Every line that may stand at the margin.
pub(super) const ALL: Table<Rule> = &[
    ("given SENTENCE", |story, args| {
        story.others(|world| sentences::say(world, &args.rest));
        Ok(())
    }),
    ("now SENTENCE", |story, args| {
        story.others(|world| sentences::say(world, &args.rest));
        Ok(())
    }),
    ("apply NAME: WISHES", |story, args| {
        let new = !story.scene.world.stored.contains_key(&key(args.name()));
        assert!(new, "{} exists: edit it", args.name());
        let wish = wishes::of(args.name(), &args.rest);
        story.others(|world| world.create(args.name(), wish));
        Ok(())
    }),
    ("edit NAME: WISHES", |story, args| {
        let change = |wish: &mut _| wishes::change(wish, &args.rest);
        story.others(|world| world.edit(args.name(), change));
        Ok(())
    }),
    ("edit unseen NAME: WISHES", |story, args| {
        let change = |wish: &mut _| wishes::change(wish, &args.rest);
        story.scene.world.edit_silently(args.name(), change);
        Ok(())
    }),
    ("recreate unseen NAME: WISHES", |story, args| {
        let wish = wishes::of(args.name(), &args.rest);
        story.scene.world.store(key(args.name()), wish);
        let stored = story.scene.world.stored.get_mut(&key(args.name())).unwrap();
        stored.uid = "another".into();
        Ok(())
    }),
    ("deliver NAME", |story, args| {
        let delivered = story.scene.world.stored[&key(args.name())].clone();
        story
            .scene
            .world
            .tell(Input::Delivered(Box::new(delivered)));
        Ok(())
    }),
    ("delete NAME", |story, args| {
        story.others(|world| world.delete(args.name()));
        Ok(())
    }),
    ("annotate NAME", |story, args| {
        let value = format!("{:?}", story.scene.world.clock);
        story.others(|world| world.annotate(args.name(), &value));
        Ok(())
    }),
    ("after TIME", |story, args| {
        story.pass(args.time());
        Ok(())
    }),
    ("never: KINDS", never),
];

fn never(story: &mut super::story::Story, args: &Args) -> Result<(), Wrong> {
    let made: Vec<Made> = story.scene.world.calls.iter().map(Made::of).collect();
    for part in args.rest.split(", ") {
        if let Some(call) = made.iter().find(|call| call.is(part)) {
            return Err(Wrong {
                expected: format!("never {part}"),
                was: format!("{} after {:?}", call.text(), call.at),
            });
        }
    }
    Ok(())
}

/// Each is a kind of call, or one with its jobs.
pub(super) fn check_kinds(text: &str) -> Result<(), String> {
    for part in text.split(", ") {
        if !KINDS.iter().any(|kind| part.starts_with(kind)) {
            let all = KINDS.join(", ");
            return Err(format!("{part:?} is no call; calls are: {all}"));
        }
    }
    Ok(())
}
