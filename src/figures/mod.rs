//! What the server reports about itself: one table of figures, and everything that shows it.
//!
//! ```text
//!                   table.rs: a row for each figure: name, unit, kind, doc, and how it is read
//!                       │
//!  ServerParts ───▶ read.rs ──▶ `info`, `help info`, /api/info     (src/admin)
//!                       ├──────▶ /metrics                           (metrics.rs)
//!                       ├──────▶ own figures of a flush             (server/pipeline/flushing.rs)
//!                       └──────▶ docs/figures.md                    (page/tests.rs)
//! ```
//! A new figure is a new row of the table. Nothing else need change.
//!
//! A *total* counts since the start and never falls. A *level* is a value of this moment.
//! [`RecentFigures`] has the totals of the last minute, from which the rate of each total follows.

mod metrics;
mod page;
mod rates;
mod read;
mod remember;
mod row;
mod section;
mod server_parts;
mod table;

pub use metrics::write_metrics;
pub use page::help;
pub use read::{FigureValue, of_flush, read, read_value};
pub use remember::remember;
pub use row::{FigureKind, FigureRow, FigureUnit, GraphiteName, LossCount};
pub use section::FigureSection;
pub use server_parts::{DestinationReport, FlushFigures, RecentFigures, ServerParts, destinations};
pub use table::TABLE;
