//! The shape of one row: what a file's own shape means, and the client's wish.
//!
//! Pure arithmetic on hostile numbers; every product is checked.

use super::super::{ImportError, ImportOptions, invalid, show_dims};

/// The most dimensions that one row may have.
const MAX_RANK: usize = 4;

/// One row of an array of shape `dims`.
///
/// `[n, d] → [d]`; `[n, h, w] → [1, h, w]`, a grey picture; `[n, c, h, w] → [c, h, w]`.
pub(super) fn row_shape(dims: &[u64]) -> Result<Vec<usize>, ImportError> {
    let one_row: Vec<u64> = match *dims {
        [_, d] => vec![d],
        [_, h, w] => vec![1, h, w],
        [_, c, h, w] => vec![c, h, w],
        [n] => {
            return Err(invalid(format!(
                "this is a list of {n} single values, which looks like labels; \
                 rows need an array of 2 to 4 dimensions, the first of them the rows"
            )));
        }
        _ => {
            return Err(invalid(format!(
                "the array has {} dimensions ({}); rows need 2 to 4, the first of them the rows",
                dims.len(),
                show_dims(dims)
            )));
        }
    };
    if dims.contains(&0) {
        return Err(invalid(format!(
            "the file holds no values: its shape is {}",
            show_dims(dims)
        )));
    }
    let shape: Option<Vec<usize>> = one_row.iter().map(|&d| usize::try_from(d).ok()).collect();
    shape
        .filter(|shape| product(shape).is_some())
        .ok_or_else(|| {
            invalid(format!(
                "the header claims rows of {}, larger than any memory",
                show_dims(&one_row)
            ))
        })
}

/// Refuses pictures whose channels come last, as most tools outside of deep
/// learning write them: read as [c, h, w] they would be silent nonsense.
pub(super) fn refuse_channels_last(dims: &[u64]) -> Result<(), ImportError> {
    let [_, second, _, last] = *dims else {
        return Ok(());
    };
    if matches!(last, 1 | 3) && !matches!(second, 1 | 3) {
        return Err(invalid(format!(
            "the shape {} has its channels last; rows are [channels, height, width]: \
             save numpy.ascontiguousarray(numpy.moveaxis(x, -1, 1))",
            show_dims(dims)
        )));
    }
    Ok(())
}

/// The row shape that the client asked for, if it asked and if it fits.
pub(super) fn chosen_shape(
    options: &ImportOptions,
    row_len: usize,
) -> Result<Option<Vec<usize>>, ImportError> {
    let Some(shape) = &options.shape else {
        return Ok(None);
    };
    let refuse = |detail: String| {
        Err(ImportError::Option {
            field: "shape",
            detail,
        })
    };
    if shape.is_empty() || shape.len() > MAX_RANK {
        return refuse(format!(
            "one row has 1 to {MAX_RANK} dimensions, and {} were given",
            shape.len()
        ));
    }
    if shape.contains(&0) {
        return refuse(format!(
            "every dimension is at least 1, and {} was given",
            show_dims(shape)
        ));
    }
    if product(shape) != Some(row_len) {
        let claimed = product(shape).map_or_else(|| "too many".to_owned(), |p| p.to_string());
        return refuse(format!(
            "{} makes {claimed} values, but a row of this file has {row_len}",
            show_dims(shape)
        ));
    }
    Ok(Some(shape.clone()))
}

fn product(shape: &[usize]) -> Option<usize> {
    shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::super::Header;
    use super::*;

    fn wish(shape: &[usize]) -> ImportOptions {
        ImportOptions {
            shape: Some(shape.to_vec()),
            columns: BTreeMap::new(),
            header: Header::Auto,
            delimiter: None,
            coding: None,
            max_bytes: 0,
        }
    }

    #[test]
    fn natural_shapes() {
        assert_eq!(row_shape(&[9, 5]).unwrap(), [5]);
        assert_eq!(row_shape(&[9, 5, 4]).unwrap(), [1, 5, 4]);
        assert_eq!(row_shape(&[9, 3, 5, 4]).unwrap(), [3, 5, 4]);
        assert!(row_shape(&[9]).unwrap_err().to_string().contains("labels"));
        assert!(row_shape(&[]).is_err());
        assert!(row_shape(&[1, 1, 1, 1, 1]).is_err());
        assert!(row_shape(&[1, u64::MAX, u64::MAX]).is_err());
        assert!(row_shape(&[1, 0, 4]).is_err());
    }

    #[test]
    fn channels_last() {
        assert!(refuse_channels_last(&[9, 32, 32, 3]).is_err());
        assert!(refuse_channels_last(&[9, 3, 32, 32]).is_ok());
        assert!(refuse_channels_last(&[9, 1, 1, 1]).is_ok());
    }

    #[test]
    fn wishes_must_fit() {
        assert_eq!(
            chosen_shape(&wish(&[1, 8, 8]), 64).unwrap().unwrap(),
            [1, 8, 8]
        );
        for bad in [
            &[][..],
            &[64, 0],
            &[1, 1, 1, 1, 64],
            &[63],
            &[usize::MAX, 3],
        ] {
            let refused = chosen_shape(&wish(bad), 64);
            assert!(
                matches!(refused, Err(ImportError::Option { field: "shape", .. })),
                "{bad:?}"
            );
        }
    }
}
