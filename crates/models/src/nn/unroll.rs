//! A restricted Boltzmann machine unrolled to a layer of a net and its mirror image on the way back
//! (Hinton and Salakhutdinov, 2006): which tensor of the net is which part of the machine.

use tch::Tensor;

/// The part of a machine that a tensor of the net starts as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Number of the machine, from the data up.
    pub layer: usize,
    /// `weights`, `hidden_bias` or `visible_bias`.
    pub part: &'static str,
    /// Whether the tensor is on the way up, from the data to the code.
    pub up: bool,
}

impl Origin {
    /// Of the tensor `<up>.<i>.weight` or `.bias`, or `decoder.<i>.…`, counted from the code, in a net of
    /// `depth` layers on either way. Layers beyond have none.
    pub fn of(name: &str, up: &str, depth: usize) -> Option<Self> {
        let mut words = name.split('.');
        let (net, index, kind) = (words.next()?, words.next()?, words.next()?);
        let index: usize = index.parse().ok()?;
        let last = depth.checked_sub(1)?;
        if index > last || words.next().is_some() {
            return None;
        }
        let up = match net {
            net if net == up => true,
            "decoder" => false,
            _ => return None,
        };
        Some(Self {
            layer: if up { index } else { last - index },
            part: match (kind, up) {
                ("weight", _) => "weights",
                ("bias", true) => "hidden_bias",
                ("bias", false) => "visible_bias",
                _ => return None,
            },
            up,
        })
    }

    /// Whether these are the weights on the way up, which make a layer what it is.
    pub fn is_way_up(self) -> bool {
        self.up && self.part == "weights"
    }

    /// A part of a machine as the net has it, or the other way round: weights are `[visible, hidden]`
    /// there, and on the way up `[hidden, visible]` here. Shares storage.
    pub fn turned(self, tensor: &Tensor) -> Tensor {
        if self.is_way_up() {
            tensor.transpose(0, 1)
        } else {
            tensor.shallow_clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_way_leads_to_the_same_machine() {
        let of = |name| Origin::of(name, "encoder", 3).map(|o| (o.layer, o.part, o.up));
        assert_eq!(of("encoder.0.weight"), Some((0, "weights", true)));
        assert_eq!(of("decoder.2.weight"), Some((0, "weights", false)));
        assert_eq!(of("encoder.2.bias"), Some((2, "hidden_bias", true)));
        assert_eq!(of("decoder.0.bias"), Some((2, "visible_bias", false)));
        for none in [
            "encoder.3.weight",
            "net.0.weight",
            "encoder.0.norm.weight",
            "x",
        ] {
            assert_eq!(of(none), None, "{none}");
        }
        let way_up = |name| Origin::of(name, "encoder", 3).map(Origin::is_way_up);
        assert_eq!(way_up("encoder.1.weight"), Some(true));
        assert_eq!(way_up("encoder.1.bias"), Some(false));
        assert_eq!(way_up("decoder.1.weight"), Some(false));
    }
}
