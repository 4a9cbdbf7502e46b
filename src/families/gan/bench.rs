use super::*;
use crate::data::split::Batch;
use crate::train::StepContext;
use tch::{Device, Kind, Tensor};
fn cpu() -> f64 {
    let mut t = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut t) };
    t.tv_sec as f64 * 1e3 + t.tv_nsec as f64 / 1e6
}
fn bench(name: &str, f: &mut dyn FnMut()) {
    for _ in 0..2 {
        f()
    }
    let k = 5;
    let s = cpu();
    for _ in 0..k {
        f()
    }
    eprintln!("{name:50} {:8.2} ms cpu", (cpu() - s) / k as f64);
}
fn rnd(s: &[i64], k: Kind) -> Tensor {
    Tensor::randn(s, (Kind::Float, Device::Cpu)).to_kind(k)
}
fn facts(shape: &[i64]) -> DataFacts {
    DataFacts {
        shape: shape.to_vec(),
        range: (0.0, 1.0),
        classes: Some(10),
    }
}
#[test]
fn speed() {
    let Ok(text) = std::env::var("SPEC") else {
        return;
    };
    tch::set_num_threads(
        std::env::var("TH")
            .ok()
            .and_then(|s| s.parse().ok())
            .unwrap_or(1),
    );
    let spec: Spec = serde_json::from_str(&text).unwrap();
    let data = facts(&[1, 28, 28]);
    let mut training = Training::of(&Gan::training_defaults(), 1);
    if std::env::var("BF").is_ok() {
        training.precision = crate::train::settings::Precision::Bf16;
    }
    let mut learner = Gan::learner(&spec, &training, &data, Device::Cpu);
    let n: i64 = std::env::var("B")
        .ok()
        .and_then(|s| s.parse().ok())
        .unwrap_or(64);
    let batch = Batch {
        x: Rng::at(1, &[]).uniform(&[n, 784], Device::Cpu),
        labels: Some(Tensor::arange(n, (Kind::Int64, Device::Cpu)).remainder(10)),
    };
    for round in 0..2 {
        let (start, wall) = (cpu(), std::time::Instant::now());
        let k = 20;
        for step in 0..k {
            let mut context = StepContext {
                rng: Rng::at(1, &[step]),
                learning_rate: 2e-4,
                epoch: 0,
                step,
                time: 0.0,
            };
            let report = learner.step(&batch, &mut context);
            if step == 19 {
                eprintln!("{report:?}");
            }
        }
        eprintln!(
            "round {round}: {:.2} ms/step cpu, {:.2} wall",
            (cpu() - start) / k as f64,
            wall.elapsed().as_secs_f64() * 1e3 / k as f64
        );
    }
}
#[test]
fn ops() {
    if std::env::var("OPS").is_err() {
        return;
    }
    tch::set_num_threads(1);
    let b = 64;
    for k in [Kind::Float, Kind::BFloat16] {
        eprintln!("{k:?}");
        for cl in [false, true] {
            if cl {
                eprintln!("channels_last");
            }
            let fmt = |t: Tensor| {
                if cl {
                    t.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
                } else {
                    t
                }
            };
            let x = fmt(rnd(&[b, 64, 14, 14], k)).set_requires_grad(true);
            let w = fmt(rnd(&[128, 64, 3, 3], k)).set_requires_grad(true);
            bench("conv 64->128 k3s2 14->7 fwd", &mut || {
                tch::no_grad(|| {
                    let _ = x.conv2d::<Tensor>(&w, None, [2, 2], [1, 1], [1, 1], 1);
                })
            });
            bench("conv 64->128 k3s2 14->7 fwd+bwd", &mut || {
                let y = x.conv2d::<Tensor>(&w, None, [2, 2], [1, 1], [1, 1], 1);
                let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x, &w], false, false);
            });
            let x1 = fmt(rnd(&[b, 1, 28, 28], k)).set_requires_grad(true);
            let w1 = fmt(rnd(&[64, 1, 3, 3], k)).set_requires_grad(true);
            bench("conv 1->64 k3s2 28->14 fwd+bwd", &mut || {
                let y = x1.conv2d::<Tensor>(&w1, None, [2, 2], [1, 1], [1, 1], 1);
                let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x1, &w1], false, false);
            });
            let z = fmt(rnd(&[b, 128, 7, 7], k)).set_requires_grad(true);
            let wt = fmt(rnd(&[128, 64, 4, 4], k)).set_requires_grad(true);
            bench("convT 128->64 k4s2 7->14 fwd", &mut || {
                tch::no_grad(|| {
                    let _ =
                        z.conv_transpose2d::<Tensor>(&wt, None, [2, 2], [1, 1], [0, 0], 1, [1, 1]);
                })
            });
            bench("convT 128->64 k4s2 7->14 fwd+bwd", &mut || {
                let y = z.conv_transpose2d::<Tensor>(&wt, None, [2, 2], [1, 1], [0, 0], 1, [1, 1]);
                let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&z, &wt], false, false);
            });
            let h = fmt(rnd(&[b, 64, 14, 14], k)).set_requires_grad(true);
            let wo = fmt(rnd(&[64, 1, 4, 4], k)).set_requires_grad(true);
            bench("convT 64->1 k4s2 14->28 fwd+bwd", &mut || {
                let y = h.conv_transpose2d::<Tensor>(&wo, None, [2, 2], [1, 1], [0, 0], 1, [1, 1]);
                let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&h, &wo], false, false);
            });
        }
        let x = rnd(&[b, 64, 14, 14], k).set_requires_grad(true);
        let w = rnd(&[128, 576], k).set_requires_grad(true);
        bench("unfold conv fwd+bwd", &mut || {
            let c = x.im2col([3, 3], [1, 1], [1, 1], [2, 2]);
            let y = w.matmul(&c);
            let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&x, &w], false, false);
        });
        let z = rnd(&[b, 128, 49], k).set_requires_grad(true);
        let wt = rnd(&[1024, 128], k).set_requires_grad(true);
        bench("fold convT fwd+bwd", &mut || {
            let c = wt.matmul(&z);
            let y = c.col2im([14, 14], [4, 4], [1, 1], [1, 1], [2, 2]);
            let _ = Tensor::run_backward(&[y.sum(Kind::Float)], &[&z, &wt], false, false);
        });
        bench("fold convT fwd", &mut || {
            tch::no_grad(|| {
                let c = wt.matmul(&z);
                let _y = c.col2im([14, 14], [4, 4], [1, 1], [1, 1], [2, 2]);
            })
        });
        bench("im2col", &mut || {
            tch::no_grad(|| {
                let _ = x.im2col([3, 3], [1, 1], [1, 1], [2, 2]);
            })
        });
        let a = rnd(&[3136, 576], k);
        let m = rnd(&[576, 128], k);
        bench("gemm 3136x576x128", &mut || {
            let _ = a.matmul(&m);
        });
        bench("gemm t 128x3136x576", &mut || {
            let _ = m.matmul(&rnd(&[128, 3136], k));
        });
    }
    let x = rnd(&[b, 64, 14, 14], Kind::Float).set_requires_grad(true);
    let g = rnd(&[b, 64, 14, 14], Kind::Float);
    let one = Tensor::ones([64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let zero = Tensor::zeros([64], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let (m, v) = (
        Tensor::zeros([64], (Kind::Float, Device::Cpu)),
        Tensor::ones([64], (Kind::Float, Device::Cpu)),
    );
    bench("batch norm fwd+bwd", &mut || {
        let y = x.batch_norm(
            Some(&one),
            Some(&zero),
            Some(&m),
            Some(&v),
            true,
            0.1,
            1e-5,
            false,
        );
        let _ = Tensor::run_backward(&[(y * &g).sum(Kind::Float)], &[&x, &one], false, false);
    });
    bench("leaky by maximum fwd+bwd", &mut || {
        let y = x.maximum(&(&x * 0.2));
        let _ = Tensor::run_backward(&[(y * &g).sum(Kind::Float)], &[&x], false, false);
    });
    bench("leaky fused fwd+bwd", &mut || {
        let y = x.detach().leaky_relu_backward(&x, 0.2, false);
        let _ = Tensor::run_backward(&[(y * &g).sum(Kind::Float)], &[&x], false, false);
    });
    bench("relu fwd+bwd", &mut || {
        let y = x.relu();
        let _ = Tensor::run_backward(&[(y * &g).sum(Kind::Float)], &[&x], false, false);
    });
    bench("mul-sum fwd+bwd", &mut || {
        let _ = Tensor::run_backward(&[(&x * &g).sum(Kind::Float)], &[&x], false, false);
    });
}
