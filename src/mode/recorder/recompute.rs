//! Parts of the program that are computed twice, as a checkpoint is.

pub(crate) trait RecomputeRecorder {
    /// From here to the end of it, a part of the program is recomputed that was computed before: what has to be held
    /// until then is what it begins with, so no result of it is taken for one of before.
    fn recompute_begin(&self);
    fn recompute_end(&self);
}
