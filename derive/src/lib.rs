//! `#[derive(Module)]`: writes `allotrope::nn::Module`, and `Display` with it, for a struct. It reads the fields' names and attributes only; what a
//! field shows follows from its type, through `allotrope::nn::Field`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Data, DeriveInput, Error, Expr, Fields, LitStr, Member, Result, parse_macro_input, parse_quote};

/// See `allotrope::nn::Module`.
#[proc_macro_derive(Module, attributes(module))]
pub fn derive_module(input: proc_macro::TokenStream) -> proc_macro::TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(input).unwrap_or_else(|error| error.to_compile_error()).into()
}

/// What `#[module(...)]` says of a struct.
#[derive(Default)]
struct Options {
    name: Option<LitStr>,
    extra_repr: Option<Expr>,
}

/// A field that is shown.
struct Shown {
    member: Member,
    name: String,
    is_buffer: bool,
}

fn expand(input: DeriveInput) -> Result<TokenStream> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new(
            input.span(),
            "derive(Module) is for structs; an enum of modules implements `visit` by hand",
        ));
    };
    let options = options(&input)?;
    let fields = shown(&data.fields)?;
    let ident = &input.ident;
    let class = options.name.map_or_else(|| ident.unraw().to_string(), |name| name.value());

    let mut generics = input.generics.clone();
    for parameter in input.generics.type_params() {
        let parameter = &parameter.ident;
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: ::allotrope::nn::Field));
    }
    let (implemented, ty, bounds) = generics.split_for_impl();

    let visits = fields.iter().map(|Shown { member, name, is_buffer }| {
        if *is_buffer {
            return quote! {
                if let ::core::option::Option::Some(buffer) = ::core::convert::Into::into(&self.#member) {
                    visitor.buffer(#name, buffer);
                }
            };
        }
        quote!(::allotrope::nn::Field::visit_as(&self.#member, #name, visitor);)
    });
    let maps = fields
        .iter()
        .map(|Shown { member, .. }| quote!(::allotrope::nn::Field::map_field(&mut self.#member, replace)?;));
    let extra_repr = options.extra_repr.map(|method| {
        quote! {
            fn extra_repr(&self) -> ::std::string::String {
                (#method)(self)
            }
        }
    });

    Ok(quote! {
        #[automatically_derived]
        impl #implemented ::allotrope::nn::Module for #ident #ty #bounds {
            #[allow(unused_variables)]
            fn visit(&self, visitor: &mut dyn ::allotrope::nn::Visitor) {
                #(#visits)*
            }

            #[allow(unused_variables)]
            fn map_tensors(
                &mut self,
                replace: &mut dyn ::core::ops::FnMut(&::allotrope::Tensor) -> ::allotrope::Result<::allotrope::Tensor>,
            ) -> ::allotrope::Result<()> {
                #(#maps)*
                ::core::result::Result::Ok(())
            }

            fn class_name(&self) -> &'static str {
                #class
            }

            #extra_repr
        }

        /// As PyTorch prints it.
        #[automatically_derived]
        impl #implemented ::core::fmt::Display for #ident #ty #bounds {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(&::allotrope::nn::Module::repr(self))
            }
        }
    })
}

fn options(input: &DeriveInput) -> Result<Options> {
    let mut options = Options::default();
    for attribute in input.attrs.iter().filter(|a| a.path().is_ident("module")) {
        attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("name") {
                options.name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("extra_repr") {
                options.extra_repr = Some(meta.value()?.parse()?);
            } else {
                return Err(meta.error("a struct may have `name = \"...\"` and `extra_repr = method`"));
            }
            Ok(())
        })?;
    }
    Ok(options)
}

fn shown(fields: &Fields) -> Result<Vec<Shown>> {
    let mut all = Vec::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        let (mut is_buffer, mut is_skipped) = (false, false);
        for attribute in field.attrs.iter().filter(|a| a.path().is_ident("module")) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("buffer") {
                    is_buffer = true;
                } else if meta.path.is_ident("skip") {
                    is_skipped = true;
                } else {
                    return Err(meta.error("a field may have `buffer` or `skip`"));
                }
                Ok(())
            })?;
        }
        let name = match &member {
            Member::Named(ident) => ident.unraw().to_string(),
            Member::Unnamed(index) => index.index.to_string(),
        };
        if !is_skipped {
            all.push(Shown { member, name, is_buffer });
        }
    }
    Ok(all)
}
