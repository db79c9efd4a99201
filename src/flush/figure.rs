//! A figure: one number of a summary.

use crate::policy::FigureId;

/// One number of a summary, with the figure it is the value of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    pub id: FigureId,
    pub value: f64,
}
