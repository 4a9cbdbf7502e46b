//! A finished graph as the bytes of an ONNX file.

use prost::Message;
use tch::{Device, Kind, Tensor};

use super::graph::{Attribute, Element, Graph, Node, Port};
use super::proto::{
    AttributeProto, DimensionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    StringStringEntryProto, TensorProto, TensorShapeProto, TensorTypeProto, TypeProto,
    ValueInfoProto,
};

/// Of 2022: what is used here has not changed since, and every runtime of today reads it.
const OPERATOR_SET: i64 = 17;
const IR_VERSION: i64 = 8;
/// A protobuf message holds less than 2 GiB; some of it is for what is not weights.
const MOST_BYTES: usize = (1 << 31) - (1 << 24);

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("the weights take {0} bytes; one ONNX file holds less than 2 GiB")]
    TooLarge(usize),
}

/// What is written beside the graph: its name, and facts for people.
#[derive(Debug, Default)]
pub struct Label {
    pub name: String,
    pub facts: Vec<(&'static str, String)>,
}

impl Graph {
    /// The file. All weights are f32 in it, whatever they are computed in here.
    pub fn to_file(&self, label: &Label) -> Result<Vec<u8>, FileError> {
        let bytes: usize = self.weights.iter().map(|(_, t)| t.numel() * 4).sum();
        if bytes > MOST_BYTES {
            return Err(FileError::TooLarge(bytes));
        }
        let ports = |ports: &[Port]| ports.iter().map(port).collect();
        let fact = |(key, value): &(&str, String)| StringStringEntryProto {
            key: (*key).to_owned(),
            value: value.clone(),
        };
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(GraphProto {
                node: self.nodes.iter().map(node).collect(),
                name: label.name.clone(),
                initializer: self
                    .weights
                    .iter()
                    .map(|(name, weight)| initializer(name, weight))
                    .collect(),
                input: ports(&self.inputs),
                output: ports(&self.outputs),
            }),
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: OPERATOR_SET,
            }],
            metadata_props: label.facts.iter().map(fact).collect(),
        };
        Ok(model.encode_to_vec())
    }
}

impl Element {
    /// `TensorProto.DataType`.
    fn number(self) -> i32 {
        match self {
            Self::Float => 1,
            Self::Int64 => 7,
        }
    }
}

fn port(port: &Port) -> ValueInfoProto {
    let batch = DimensionProto {
        dim_param: Some("batch".to_owned()),
        dim_value: None,
    };
    let fixed = port.row.iter().map(|&length| DimensionProto {
        dim_value: Some(length),
        dim_param: None,
    });
    ValueInfoProto {
        name: port.name.to_owned(),
        r#type: Some(TypeProto {
            tensor_type: Some(TensorTypeProto {
                elem_type: port.element.number(),
                shape: Some(TensorShapeProto {
                    dim: std::iter::once(batch).chain(fixed).collect(),
                }),
            }),
        }),
    }
}

fn node(node: &Node) -> NodeProto {
    NodeProto {
        input: node.inputs.iter().map(|value| value.0.clone()).collect(),
        output: vec![node.output.clone()],
        name: node.output.clone(),
        op_type: node.op.to_owned(),
        attribute: node.attributes.iter().map(attribute).collect(),
    }
}

fn attribute((name, value): &(&'static str, Attribute)) -> AttributeProto {
    let empty = AttributeProto {
        name: (*name).to_owned(),
        ..AttributeProto::default()
    };
    match value {
        Attribute::Float(f) => AttributeProto {
            f: Some(*f),
            r#type: 1,
            ..empty
        },
        Attribute::Int(i) => AttributeProto {
            i: Some(*i),
            r#type: 2,
            ..empty
        },
        Attribute::Ints(ints) => AttributeProto {
            ints: ints.clone(),
            r#type: 7,
            ..empty
        },
    }
}

fn initializer(name: &str, tensor: &Tensor) -> TensorProto {
    let element = if tensor.kind() == Kind::Int64 {
        Element::Int64
    } else {
        Element::Float
    };
    let kind = match element {
        Element::Int64 => Kind::Int64,
        Element::Float => Kind::Float,
    };
    let flat = tensor.to_device(Device::Cpu).to_kind(kind).contiguous();
    let mut raw_data = vec![0; flat.numel() * kind.elt_size_in_bytes()];
    flat.copy_data_u8(&mut raw_data, flat.numel());
    TensorProto {
        dims: tensor.size(),
        data_type: element.number(),
        name: name.to_owned(),
        raw_data,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_the_graph_holds() -> Result<(), Box<dyn std::error::Error>> {
        let mut graph = Graph::default();
        let x = graph.input("inputs", Element::Float, &[2]);
        let weight = Tensor::from_slice(&[1.0_f32, -2.0]).to_kind(Kind::BFloat16);
        let w = graph.weight("w", &weight);
        let again = graph.weight("w", &weight);
        assert_eq!(w, again);
        let y = graph.multiply(&x, &w);
        let y = graph.narrow(&y, 1, 0, 1);
        graph.output("outputs", &y, Element::Float, &[1]);
        let file = graph.to_file(&Label::default())?;
        let read = ModelProto::decode(file.as_slice())?;
        let graph = read.graph.ok_or("a graph")?;
        let ops: Vec<&str> = graph.node.iter().map(|n| n.op_type.as_str()).collect();
        assert_eq!(ops, ["Mul", "Slice", "Identity"]);
        let names: Vec<&str> = graph.initializer.iter().map(|t| t.name.as_str()).collect();
        assert_eq!(names, ["w", "constant.0", "constant.1", "constant.2"]);
        let w = &graph.initializer[0];
        assert_eq!((w.data_type, w.dims.as_slice()), (1, [2].as_slice()));
        let values = [1.0_f32.to_le_bytes(), (-2.0_f32).to_le_bytes()].concat();
        assert_eq!(w.raw_data, values);
        Ok(())
    }
}
