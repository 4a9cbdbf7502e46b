//! Whether rows have the shape that a model takes. As many values in another order would be answered, and the answer
//! would be nonsense.

use crate::data::show_dims;

/// The sides of a shape, as arrays have them.
pub fn dims(shape: &[i64]) -> Vec<usize> {
    shape
        .iter()
        .map(|&d| usize::try_from(d).unwrap_or(0))
        .collect()
}

/// A row is flat, or has the model's shape, of which the one channel of a grey picture may be left out.
pub fn fits(found: &[usize], shape: &[usize]) -> bool {
    let needed: usize = shape.iter().product();
    let flat = match found {
        [] => needed == 1,
        [values] => *values == needed,
        _ => false,
    };
    let grey = matches!(shape, [1, picture @ ..] if picture.len() > 1 && picture == found);
    flat || grey || found == shape
}

/// The rule that rows of another shape break.
pub fn check(found: &[usize], shape: &[usize]) -> Result<(), String> {
    if fits(found, shape) {
        return Ok(());
    }
    let needed: usize = shape.iter().product();
    let values: usize = found.iter().product();
    let (rows, wanted) = (show_dims(found), show_dims(shape));
    let flat = if shape.len() > 1 {
        format!(", or flat as {needed} values")
    } else {
        String::new()
    };
    if values != needed {
        let had = if found.len() > 1 {
            format!(" ({rows})")
        } else {
            String::new()
        };
        return Err(format!(
            "each row needs {needed} values (shape {wanted}), got {values}{had}"
        ));
    }
    let turn = match (shape, found) {
        (&[c, h, w], found) if found == [h, w, c] => {
            "; the channels come last here: send numpy.ascontiguousarray(numpy.moveaxis(x, -1, 1))"
        }
        _ => "",
    };
    Err(format!(
        "each row has the shape {rows}; this takes rows of {wanted}{flat}{turn}"
    ))
}

/// The same of rows that lie in a data set: a model of flat rows takes those of any shape.
pub fn check_stored(found: &[usize], shape: &[usize]) -> Result<(), String> {
    let flat = shape.len() == 1 && found.iter().product::<usize>() == shape[0];
    if flat { Ok(()) } else { check(found, shape) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_flat_or_has_the_shape() {
        for (found, shape) in [
            (&[192][..], &[3, 8, 8][..]),
            (&[3, 8, 8], &[3, 8, 8]),
            (&[16, 16], &[1, 16, 16]),
            (&[1, 16, 16], &[1, 16, 16]),
            (&[256], &[1, 16, 16]),
            (&[4], &[4]),
            (&[1], &[1]),
            (&[], &[1]),
        ] {
            assert!(fits(found, shape), "{found:?} {shape:?}");
        }
        for (found, shape) in [
            (&[8, 8, 3][..], &[3, 8, 8][..]),
            (&[8, 3, 8], &[3, 8, 8]),
            (&[24, 8], &[3, 8, 8]),
            (&[64, 3], &[3, 8, 8]),
            (&[1, 3, 8, 8], &[3, 8, 8]),
            (&[1, 2, 2], &[4]),
            (&[2, 2], &[4]),
            (&[1, 4], &[4]),
            (&[16, 16, 1], &[1, 16, 16]),
            (&[], &[4]),
        ] {
            assert!(!fits(found, shape), "{found:?} {shape:?}");
        }
    }

    #[test]
    fn the_rule_shows_both_shapes_and_how_to_turn_channels() {
        let rule = check(&[8, 9, 3], &[3, 8, 9]).expect_err("channels last");
        assert!(
            rule.contains("8 x 9 x 3") && rule.contains("3 x 8 x 9"),
            "{rule}"
        );
        assert!(rule.contains("moveaxis"), "{rule}");
        let rule = check(&[64, 3], &[3, 8, 8]).expect_err("another shape");
        assert!(
            rule.contains("64 x 3") && !rule.contains("moveaxis"),
            "{rule}"
        );
        let rule = check(&[5], &[1, 2, 2]).expect_err("another width");
        assert!(
            rule.contains("needs 4 values") && rule.contains("got 5"),
            "{rule}"
        );
    }
}
