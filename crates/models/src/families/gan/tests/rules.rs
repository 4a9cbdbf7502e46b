//! What a document says of the nets, and what it may not say.

use super::*;

#[test]
fn a_document_from_before_there_was_a_choice_of_kernels_means_three() {
    let data = facts(&[1, 8, 8]);
    let old = spec(json!({"kind": "gan", "architecture": "dcgan", "channels": [2, 3]}));
    let three = Spec {
        kernel: Some(3),
        ..old.clone()
    };
    let gan = Gan::init(&three, &data, &mut Rng::at(1, &[]), Device::Cpu);
    let tensors = crate::verbs::Model::tensors(&gan);
    assert!(old.load(&data, &tensors, Device::Cpu).is_ok());
    assert_eq!(old.parameters(&data), three.parameters(&data));
    assert_eq!(old.settled(&data).kernel, Some(5));
}

#[test]
fn parameters_are_counted_without_making_them() {
    let data = facts(&[3, 9, 12]);
    for model in variants() {
        let spec = spec(model.clone());
        let counted = spec.parameters(&data);
        let gan = Gan::init(&spec, &data, &mut Rng::at(1, &[]), Device::Cpu);
        let made = gan.generator.net.parameters("").into_values();
        let made = made.chain(gan.discriminator.parameters("").into_values());
        let numbers: usize = made.map(|tensor| tensor.numel()).sum();
        assert_eq!(counted, numbers as u128, "{model}");
    }
    let widest = 1_i64 << 24;
    let absurd = spec(json!({"kind": "gan", "channels": vec![widest; 16], "latent": widest}));
    assert!(absurd.parameters(&facts(&[3, 64, 64])) > crate::families::MAX_PARAMETERS);
}

#[test]
fn depth_follows_from_the_image_and_the_architecture_from_its_sides() {
    let channels = |shape: &[i64]| Spec::default().channels(&facts(shape));
    assert_eq!(channels(&[1, 28, 28]), [64, 128, 256]);
    assert_eq!(channels(&[3, 32, 32]), [64, 128, 256]);
    assert_eq!(channels(&[3, 64, 90]), [64, 128, 256, 512]);
    let deep = [64, 128, 256, 512, 512, 512, 512];
    assert_eq!(channels(&[3, 512, 512]), deep);
    let convolutional = |shape: &[i64]| Spec::default().is_convolutional(&facts(shape));
    assert!(convolutional(&[1, 16, 16]));
    assert!(!convolutional(&[1, 8, 28]));
    assert!(!convolutional(&[784]));
}

#[test]
fn what_cannot_be_honoured_is_refused_where_it_stands() {
    let data = facts(&[1, 28, 28]);
    let unlabelled = data.clone().with_classes(None);
    let flat = facts(&[784]);
    let fields = |model: Value, data: &DataFacts| broken(model, &training(), data);
    let on_images = [
        (json!({"hidden": [10]}), "/model/hidden"),
        (
            json!({"architecture": "dense", "channels": [10]}),
            "/model/channels",
        ),
        (json!({"channels": [8, 0]}), "/model/channels/1"),
        (json!({"latent": 0}), "/model/latent"),
        (json!({"kernel": 4}), "/model/kernel"),
        (json!({"kernel": 17}), "/model/kernel"),
        (
            json!({"architecture": "dense", "kernel": 3}),
            "/model/kernel",
        ),
        (json!({"conditioning": "concat"}), "/model/conditioning"),
        (json!({"ema_decay": 1.0}), "/model/ema_decay"),
        (
            json!({"discriminator_steps": 0}),
            "/model/discriminator_steps",
        ),
        (json!({"gradient_penalty": 10.0}), "/model/gradient_penalty"),
        (
            json!({"architecture": "dense", "batch_norm": false}),
            "/model/batch_norm",
        ),
        (
            json!({"loss": "wasserstein_gp", "batch_norm": true}),
            "/model/batch_norm",
        ),
        (
            json!({"loss": "hinge", "label_smoothing": 0.1}),
            "/model/label_smoothing",
        ),
        (
            json!({"loss": "minimax", "label_smoothing": 0.5}),
            "/model/label_smoothing",
        ),
        (
            json!({"discriminator_learning_rate": 0.0}),
            "/model/discriminator_learning_rate",
        ),
    ];
    for (model, pointer) in on_images {
        assert_eq!(fields(model.clone(), &data), [pointer], "{model}");
    }
    assert_eq!(
        fields(json!({"conditional": true}), &unlabelled),
        ["/model/conditional"]
    );
    assert_eq!(
        fields(json!({"architecture": "dcgan"}), &flat),
        ["/model/architecture"]
    );
    assert_eq!(fields(json!({}), &flat), [""; 0]);
    let mut half = training();
    half.precision = Precision::Bf16;
    let critic = json!({"loss": "wasserstein_gp"});
    assert_eq!(broken(critic, &half, &data), ["/training/precision"]);
    assert_eq!(broken(json!({}), &half, &data), [""; 0]);
}
