//! What the nodes of gradients are called where these are differentiated again: PyTorch names them after the last operation of
//! the derivative, which here may be composed otherwise. No derivative is written here.

use std::borrow::Cow;

/// The name of the node of the gradient that a node gives its operand, where it does not follow from how the gradient is computed.
pub(super) fn gradient_name(node: &str, operand: usize) -> Option<Cow<'static, str>> {
    if has_function(node) {
        return Some(match node {
            "CeluBackward0" => "EluBackwardBackward0".into(),
            "ReluBackward0" => "ThresholdBackwardBackward0".into(),
            "SoftmaxBackward0" | "LogSoftmaxBackward0" => format!("{}DataBackward0", &node[..node.len() - 1]).into(),
            _ => format!("{}Backward0", &node[..node.len() - 1]).into(),
        });
    }
    let name = match (node, operand) {
        ("AvgPool1DBackward0", _) => "SqueezeBackward1",
        ("BinaryCrossEntropyBackward0", 0) => "BinaryCrossEntropyBackwardBackward0",
        ("SplitBackward0", _) => "CatBackward0",
        ("Im2ColBackward0", _) => "Col2ImBackward0",
        ("Col2ImBackward0", _) => "Im2ColBackward0",
        ("ConstantPadNdBackward0", _) => "ConstantPadNdBackward0",
        ("DiagEmbedBackward0", _) => "DiagonalBackward0",
        ("DiagonalBackward0" | "DiagonalBackward0_copy", _) => "DiagonalBackwardBackward0",
        ("SelectBackward0", _) => "SelectBackwardBackward0",
        ("SliceBackward0", _) => "SliceBackwardBackward0",
        ("UnfoldBackward0", _) => "UnfoldBackwardBackward0",
        ("EmbeddingBackward0", _) => "EmbeddingDenseBackwardBackward0",
        (
            "AtanBackward0"
            | "AtanhBackward0"
            | "CumprodBackward0"
            | "HypotBackward0"
            | "Log10Backward0"
            | "Log1PBackward0"
            | "Log2Backward0"
            | "LogBackward0"
            | "Logaddexp2Backward0"
            | "LogaddexpBackward0"
            | "SqrtBackward0",
            _,
        )
        | ("DivBackward0", 0)
        | ("XlogyBackward0", 1) => "DivBackward0",
        ("MeanBackward0" | "MeanBackward1", _) => "DivBackward1",
        ("SumBackward0" | "SumBackward1", _) | ("IndexAddBackward0" | "IndexCopyBackward0", 2) => "ExpandBackward0",
        ("CumsumBackward0" | "FlipBackward0", _) => "FlipBackward0",
        ("IndexSelectBackward0", _) => "IndexAddBackward0",
        ("IndexFillBackward0", _) | ("IndexFillBackward1" | "IndexCopyBackward0", 0) => "IndexFillBackward0",
        ("IndexBackward0", _) => "IndexPutImplBackward0",
        (
            "ClampMaxBackward1" | "ClampMinBackward1" | "MaskedFillBackward0" | "MaximumBackward0" | "MinimumBackward0",
            _,
        )
        | ("MaskedFillBackward1", 2)
        | ("XlogyBackward0", 0) => "MaskedFillBackward0",
        ("MaxBackward1" | "MedianBackward0" | "MinBackward1", _) => "MaskedFillBackward1",
        ("MaskedSelectBackward0", _) => "MaskedScatterBackward0",
        (
            "AbsBackward0"
            | "AcosBackward0"
            | "AcoshBackward0"
            | "AmaxBackward0"
            | "AminBackward0"
            | "AsinBackward0"
            | "AsinhBackward0"
            | "Atan2Backward0"
            | "CosBackward0"
            | "CoshBackward0"
            | "DotBackward0"
            | "ErfBackward0"
            | "ErfcBackward0"
            | "ExpBackward0"
            | "Expm1Backward0"
            | "LinalgVectorNormBackward0"
            | "LogsumexpBackward0"
            | "MishBackward0"
            | "MulBackward0"
            | "NanToNumBackward0"
            | "PowBackward0"
            | "ProdBackward0"
            | "ProdBackward1"
            | "ReciprocalBackward0"
            | "RsqrtBackward0"
            | "SiluBackward0"
            | "SinBackward0"
            | "SinhBackward0"
            | "StdBackward0"
            | "StdMeanBackward0"
            | "TanBackward0"
            | "VarBackward0"
            | "VarMeanBackward0"
            | "LerpBackward1",
            _,
        )
        | ("AddcdivBackward0" | "AddcmulBackward0", 1 | 2)
        | ("CopysignBackward0" | "LdexpBackward0" | "MvBackward0", 0)
        | ("DivBackward0" | "FmodBackward1" | "PowBackward1" | "RemainderBackward1", 1) => "MulBackward0",
        ("Deg2RadBackward0" | "Exp2Backward0" | "LerpBackward0" | "Rad2DegBackward0", _) | ("LdexpBackward0", 1) => {
            "MulBackward1"
        }
        ("NegBackward0", _) | ("RsubBackward0", 0) | ("SubBackward0", 1) => "NegBackward0",
        (
            "HardsigmoidBackward0"
            | "MultiMarginLossBackward0"
            | "MultilabelMarginLossBackward0"
            | "ScaledDotProductFlashAttentionForCpuBackward0",
            _,
        ) => "NotImplemented",
        ("PermuteBackward0", _) => "PermuteBackward0",
        ("PixelShuffleBackward0", _) => "PixelUnshuffleBackward0",
        ("PixelUnshuffleBackward0", _) => "PixelShuffleBackward0",
        ("TakeBackward0", _) => "PutBackward0",
        ("RollBackward0", _) => "RollBackward0",
        ("Rot90Backward0", _) => "Rot90Backward0",
        ("CummaxBackward0" | "CumminBackward0" | "GatherBackward0", _) => "ScatterAddBackward0",
        (
            "KthvalueBackward0" | "MaxBackward0" | "MedianBackward1" | "MinBackward0" | "SortBackward0"
            | "TopkBackward0",
            _,
        ) => "ScatterBackward0",
        ("ScatterBackward1", _) | ("ScatterBackward0", 0) => "ScatterBackward1",
        ("ScatterBackward0" | "ScatterAddBackward0", 2) => "GatherBackward0",
        ("IndexPutBackward0", 1) => "IndexBackward0",
        ("StackBackward0", _) => "SelectBackward0",
        ("CatBackward0", _) => "SliceBackward0",
        ("UnsqueezeBackward0", _) => "SqueezeBackward1",
        ("UnbindBackward0", _) => "StackBackward0",
        ("RepeatBackward0", _) => "SumBackward1",
        ("TBackward0", _) => "TBackward0",
        ("TransposeBackward0", _) => "TransposeBackward0",
        ("TrilBackward0", _) => "TrilBackward0",
        ("TriuBackward0", _) => "TriuBackward0",
        ("NativeGroupNormBackward0" | "TraceBackward0", _) => "ViewBackward0",
        (
            "ClampBackward1" | "ClampMaxBackward0" | "ClampMinBackward0" | "LogitBackward0" | "SincBackward0"
            | "WhereBackward0",
            _,
        )
        | ("PowBackward1", 0) => "WhereBackward0",
        _ => return None,
    };
    Some(name.into())
}

/// Whether PyTorch has one function for the derivative, of the gradient and of what the node keeps: the gradient depends on that,
/// also where it is flat.
pub(crate) fn has_function(node: &str) -> bool {
    matches!(
        node,
        "AdaptiveAvgPool2DBackward0"
            | "AdaptiveAvgPool3DBackward0"
            | "AdaptiveMaxPool2DBackward0"
            | "AvgPool2DBackward0"
            | "AvgPool3DBackward0"
            | "CeluBackward0"
            | "ConvolutionBackward0"
            | "EluBackward0"
            | "GeluBackward0"
            | "GluBackward0"
            | "HardshrinkBackward0"
            | "HardswishBackward0"
            | "HardtanhBackward0"
            | "HuberLossBackward0"
            | "LeakyReluBackward0"
            | "LogSigmoidBackward0"
            | "LogSoftmaxBackward0"
            | "MaxPool2DWithIndicesBackward0"
            | "MaxPool3DWithIndicesBackward0"
            | "MseLossBackward0"
            | "NativeBatchNormBackward0"
            | "NativeLayerNormBackward0"
            | "NllLoss2DBackward0"
            | "NllLossBackward0"
            | "PreluKernelBackward0"
            | "ReflectionPad1DBackward0"
            | "ReflectionPad2DBackward0"
            | "ReluBackward0"
            | "ReplicationPad1DBackward0"
            | "ReplicationPad2DBackward0"
            | "RreluWithNoiseBackward0"
            | "SigmoidBackward0"
            | "SmoothL1LossBackward0"
            | "SoftmaxBackward0"
            | "SoftplusBackward0"
            | "SoftshrinkBackward0"
            | "TanhBackward0"
            | "ThresholdBackward0"
    ) || node.starts_with("Upsample")
}
