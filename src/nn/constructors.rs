//! The constructors that layers have, written from one private `build` of each, which returns a `Result`.

/// `new` and its `try_` twin, and for layers with options `with_options` and its twin. The layer has
/// `fn build(required.., options) -> Result<Self>`.
macro_rules! constructors {
    ($name:ident($($arg:ident: $ty:ty),*)) => {
        impl $name {
            /// The layer.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_new`] fails.")]
            #[track_caller]
            pub fn new($($arg: $ty),*) -> $name {
                $crate::error::must($name::build($($arg),*))
            }

            #[doc = concat!("As [`", stringify!($name), "::new`].")]
            ///
            /// # Errors
            /// When the arguments do not fit; the message names what was given and what would fit.
            #[track_caller]
            pub fn try_new($($arg: $ty),*) -> $crate::error::Result<$name> {
                $crate::error::called($name::build($($arg),*))
            }
        }
    };
    ($name:ident($($arg:ident: $ty:ty),*; $options:ty)) => {
        impl $name {
            /// The layer with PyTorch's defaults.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_new`] fails.")]
            #[track_caller]
            pub fn new($($arg: $ty),*) -> $name {
                $crate::error::must($name::build($($arg,)* <$options>::default()))
            }

            #[doc = concat!("As [`", stringify!($name), "::new`].")]
            ///
            /// # Errors
            /// When the arguments do not fit; the message names what was given and what would fit.
            #[track_caller]
            pub fn try_new($($arg: $ty),*) -> $crate::error::Result<$name> {
                $crate::error::called($name::build($($arg,)* <$options>::default()))
            }

            /// The layer with options.
            ///
            /// # Panics
            #[doc = concat!("Where [`", stringify!($name), "::try_with_options`] fails.")]
            #[track_caller]
            pub fn with_options($($arg: $ty,)* options: $options) -> $name {
                $crate::error::must($name::build($($arg,)* options))
            }

            #[doc = concat!("As [`", stringify!($name), "::with_options`].")]
            ///
            /// # Errors
            /// When the arguments do not fit; the message names what was given and what would fit.
            #[track_caller]
            pub fn try_with_options($($arg: $ty,)* options: $options) -> $crate::error::Result<$name> {
                $crate::error::called($name::build($($arg,)* options))
            }
        }
    };
}
pub(super) use constructors;
