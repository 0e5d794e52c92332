//! Objects that name no connection: when the one for all is used and when their own, and what its task is told of namespaces.

use super::*;

fn connection_called_default() -> Value {
    json!({
        "metadata": {"name": "default", "uid": "uid", "generation": 1},
        "spec": {"url": "http://elasticsearch.test:9200", "allowPlaintext": true},
    })
}

impl World {
    /// A connection called `default`: of the namespace, or for all.
    fn default_connection(&mut self, namespace: Option<&str>) {
        let Some(namespace) = namespace else {
            return self.wide_connection(&json!({}));
        };
        let mut object = connection_called_default();
        object["metadata"]["namespace"] = json!(namespace);
        let object: ElasticsearchConnection = serde_json::from_value(object).unwrap();
        self.dispatch.connection(OWN, Change::of(object));
    }

    /// The one for all, which serves the namespaces that this selects.
    fn wide_connection(&mut self, selector: &Value) {
        let mut object = connection_called_default();
        object["spec"]["allowedNamespaces"] = json!([{"selector": selector}]);
        let object: ClusterElasticsearchConnection = serde_json::from_value(object).unwrap();
        self.dispatch.connection(WIDE, Change::of(object));
    }

    /// An object that names no connection.
    fn object_of_none(&mut self) -> Value {
        let mut object = self.object("object");
        let spec = object["spec"].as_object_mut().unwrap();
        spec.remove("connectionRef");
        object
    }

    fn came<K: Resource<DynamicType = ()> + Into<Source> + 'static>(
        &mut self,
        kind: ConnectionKind,
    ) {
        let namespace = String::new();
        self.dispatch
            .connection(kind, Change::<K>::Came { namespace });
    }

    fn kind_in_use(&self) -> Option<ConnectionKind> {
        let home = self
            .dispatch
            .places
            .home_of(&ObjectKey::new("ns", "object"))?;
        Some(home.kind())
    }
}

impl World {
    /// An object that names no connection, where both kinds are listed.
    fn of_no_connection() -> Self {
        let mut world = Self::with(1, Some("home".to_owned()));
        world.came::<ElasticsearchConnection>(OWN);
        world.came::<ClusterElasticsearchConnection>(WIDE);
        world
    }

    fn deliver(&mut self) {
        self.deliver_with(&Value::Null);
    }

    fn deliver_with(&mut self, status: &Value) {
        let mut object = self.object_of_none();
        object["status"] = status.clone();
        let mut stored = self.stored.lock().unwrap();
        stored.insert("object".to_owned(), object.clone());
        drop(stored);
        let object = serde_json::from_value(object).unwrap();
        self.dispatch.job(Change::of(object));
    }

    fn wide_goes(&mut self) {
        let gone: Change<ClusterElasticsearchConnection> =
            Change::Gone(ObjectKey::new("", "default"));
        self.dispatch.connection(WIDE, gone);
    }
}

/// Its claims go with the task, and whoever else means its jobs would act.
#[tokio::test(start_paused = true)]
async fn the_task_of_a_wide_connection_outlives_its_being_replaced() {
    let mut world = World::of_no_connection();
    world.default_connection(None);
    world.deliver();
    assert_eq!(world.kind_in_use(), Some(WIDE));
    let task = |world: &World| world.dispatch.clusters.values().next().unwrap().task;
    let before = task(&world);
    world.wide_goes();
    world.pass(Duration::from_secs(1)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
    let invalid = world.unreadable("default");
    let invalid = Undecodable {
        key: ObjectKey::new("", invalid.key.name()),
        ..invalid
    };
    let change = Change::<ClusterElasticsearchConnection>::Undecodable(Box::new(invalid));
    world.dispatch.connection(WIDE, change);
    world.default_connection(None);
    assert_eq!(world.kind_in_use(), Some(WIDE));
    assert_eq!(task(&world), before);
    world.wide_goes();
    world.pass(Duration::from_secs(119)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.dispatch.job(World::gone("object"));
    world.pass(Duration::from_secs(600)).await;
    assert_nothing_left(&world.dispatch);
}

#[tokio::test(start_paused = true)]
async fn an_own_default_is_missed_for_two_minutes_before_the_one_for_all_is_used() {
    let mut world = World::of_no_connection();
    world.default_connection(Some("ns"));
    world.default_connection(None);
    world.deliver();
    assert_eq!(world.kind_in_use(), Some(OWN));

    // It is replaced: gone, and back after a while.
    let gone = || World::gone::<ElasticsearchConnection>("default");
    world.dispatch.connection(OWN, gone());
    world.pass(Duration::from_secs(100)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.default_connection(Some("ns"));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));

    world.dispatch.connection(OWN, gone());
    world.pass(Duration::from_secs(119)).await;
    assert_eq!(world.kind_in_use(), Some(OWN));
    world.pass(Duration::from_secs(300)).await;
    assert_eq!(world.kind_in_use(), Some(WIDE));
}

/// The second between the two halves of a replace may be the one in which the leader changes.
#[tokio::test(start_paused = true)]
async fn an_own_default_that_a_status_remembers_is_missed_after_a_start_too() {
    let seen = |more: Value| {
        let mut seen = json!({"kind": "ElasticsearchConnection", "name": "default"});
        for (key, value) in more.as_object().unwrap() {
            seen[key] = value.clone();
        }
        json!({"observedGeneration": 1, "summary": "closed", "connection": seen})
    };
    let own = seen(json!({"clusterUUID": "u"}));
    for (status, used) in [
        (&Value::Null, WIDE),
        // It says so where there is none too.
        (&seen(json!({})), WIDE),
        (&seen(json!({"clusterUUID": "u", "name": "logs"})), WIDE),
        (
            &seen(json!({"clusterUUID": "u", "kind": "ClusterElasticsearchConnection"})),
            WIDE,
        ),
        (&own, OWN),
    ] {
        let mut world = World::of_no_connection();
        world.default_connection(None);
        // One that came before, and remembers nothing, waits with it.
        world.deliver();
        world.deliver_with(status);
        world.pass(Duration::from_secs(60)).await;
        assert_eq!(world.kind_in_use(), Some(used), "{status}");
        world.pass(Duration::from_secs(61)).await;
        assert_eq!(world.kind_in_use(), Some(WIDE), "{status}");
        // It is long since it began.
        world.deliver_with(&own);
        assert_eq!(world.kind_in_use(), Some(WIDE), "{status}");
    }
}

impl World {
    /// A connection for all namespaces of one team.
    fn connection_of_a_team(&mut self) {
        self.wide_connection(&json!({"matchLabels": {"team": "x"}}));
        self.dispatch.namespace(Change::Came {
            namespace: String::new(),
        });
    }

    fn label(&mut self, namespace: &str, team: &str) {
        let meta = json!({"name": namespace, "labels": {"team": team}});
        let object = serde_json::from_value(json!({"metadata": meta})).unwrap();
        self.dispatch.namespace(Change::of(object));
    }

    /// An object of a namespace, which names no connection.
    fn deliver_in(&mut self, namespace: &str) {
        let mut object = self.object_of_none();
        object["metadata"]["namespace"] = json!(namespace);
        let object = serde_json::from_value(object).unwrap();
        self.dispatch.job(Change::of(object));
    }

    /// Has the messages to the one cluster come here.
    fn overhear(&mut self) -> mpsc::UnboundedReceiver<Message> {
        let (inbox, messages) = mpsc::unbounded_channel();
        let mut handles = self.dispatch.clusters.values_mut();
        handles.next().unwrap().inbox = inbox;
        messages
    }
}

fn words(messages: &mut mpsc::UnboundedReceiver<Message>) -> Vec<String> {
    let word = |message| match message {
        Message::AllowedTo(namespace, allow) if allow == NOTHING => format!("{namespace} not"),
        Message::AllowedTo(namespace, _) => format!("{namespace} may"),
        Message::Deliver(object) => object.key.to_string(),
        Message::Gone(key) => format!("{key} gone"),
        _ => "something of all".to_owned(),
    };
    std::iter::from_fn(|| messages.try_recv().ok())
        .map(word)
        .collect()
}

/// All for each would cost the square of the namespaces.
#[tokio::test(start_paused = true)]
async fn a_namespace_that_comes_or_is_labelled_is_told_of_alone() {
    let mut world = World::of_no_connection();
    world.connection_of_a_team();
    for namespace in ["a", "b", "c", "d"] {
        world.label(namespace, "x");
    }
    world.deliver_in("a");
    let mut messages = world.overhear();
    world.deliver_in("b");
    assert_eq!(words(&mut messages), ["b may", "b/object"]);
    world.deliver_in("b");
    assert_eq!(words(&mut messages), ["b/object"]);
    // One of which there is no object, and one of which nothing changes.
    world.label("c", "y");
    world.label("b", "x");
    assert_eq!(words(&mut messages), [""; 0]);
    world.label("b", "y");
    assert_eq!(words(&mut messages), ["b/object gone", "b not"]);
    world
        .dispatch
        .job(Change::Gone(ObjectKey::new("a", "object")));
    assert_eq!(words(&mut messages), ["a/object gone", "a not"]);
}
