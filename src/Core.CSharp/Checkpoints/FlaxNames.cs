using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Checkpoints;

/// <summary>The names of the official QnA code: paths of Flax modules.</summary>
/// <remarks>
/// Flax counts stages from 0, and the blocks of each kind in a stage from 1: <c>layers.2.blocks.1.attn.Wk</c>, the first
/// QnA block after one with window attention, is <c>QnAStage_2/QnA_Block_1/FusedKQnA_0/Wk</c>.
/// </remarks>
internal static class FlaxNames
{
    /// <summary>
    /// The parts of an architecture that have no counterpart in the official QnA code, and so no Flax name; none where a
    /// file can be written with Flax's names.
    /// </summary>
    public static ValueList<Problem> Missing(Architecture architecture)
    {
        var problems = new List<Problem>();
        void Report(string place, string part) => problems.Add(new Problem(place, $"{part} has no Flax name", ParameterNames.WritePyTorch));

        if (architecture.Stem is ConvolutionStem)
            Report("stem", "a convolutional stem");
        if (architecture.Stem is PatchStem { Norm: true })
            Report("stem", "the norm after the patches");
        for (var s = 0; s < architecture.Stages.Count; s++)
        {
            var (stage, place) = (architecture.Stages[s], $"stage {s + 1}");
            if (stage.PositionEmbedding)
                Report(place, "the embedding of places");
            for (var b = 0; b < stage.Blocks.Count; b++)
            {
                if (Unnamed(stage.Blocks[b]) is { } part)
                    Report($"{place}, block {b + 1}", part);
            }
            if (stage.Norm)
                Report(place, "the norm after the blocks");
            if (stage.Transition is not (null or QnADownsampling))
                Report($"{place}, transition", stage.Transition.Kind);
        }
        if (architecture.Head is ClassTokenHead)
            Report("head", "the class token");
        return ValueList.From(problems);
    }

    private static string? Unnamed(Block block) => block switch
    {
        { Attention: SlideAttention } => "Slide Attention",
        { Attention: GlobalAttention { LocallyEnhanced: true } } => "the convolution of values",
        { Attention: not (QnAAttention or WindowAttention or GlobalAttention) } => $"{block.Attention.Kind} attention",
        { MlpConvolution: not MlpConvolution.None } => "the MLP's convolution",
        _ => null,
    };

    /// <summary>The Flax name of a parameter; none where the official QnA code has no such parameter.</summary>
    /// <param name="architecture">The model.</param>
    /// <param name="name">The parameter's name in the model.</param>
    public static StoredParameter? Of(Architecture architecture, string name) =>
        name.Split('.') switch
        {
            ["patch_embed", "proj", "weight"] => new("StemBlock_0/conv_1x1/kernel", ParameterLayout.ChannelsLast),
            ["patch_embed", "proj", "bias"] => new("StemBlock_0/conv_1x1/bias", ParameterLayout.Same),
            ["norm", var field] => Norm("ClassificationHead_0/LayerNorm_0", field),
            ["pool", .. var rest] => QnA("ClassificationHead_0/FusedKQnA_0", rest),
            ["head", var field] => Dense("ClassificationHead_0/head_logits", field),
            ["layers", var s, .. var rest] when ParameterNames.At(architecture.Stages, s) is { } stage => InStage(stage, s, rest),
            _ => null,
        };

    private static StoredParameter? InStage(Stage stage, string index, string[] rest) => rest switch
    {
        ["blocks", var b, .. var inner] when ParameterNames.At(stage.Blocks, b) is { } block =>
            InBlock(BlockName(stage, index, block, b), inner, block.Attention),
        ["downsample", .. var inner] when stage.Transition is QnADownsampling transition =>
            InTransition(
                $"QnAStage_{index}/QnA_Block_{CountQnA(stage, stage.Blocks.Count) + 1}_stride_{transition.Stride}",
                inner,
                transition),
        _ => null,
    };

    private static int CountQnA(Stage stage, int blocks) =>
        stage.Blocks.Take(blocks).Count(block => block.Attention is QnAAttention);

    private static string? BlockName(Stage stage, string stageIndex, Block block, string blockIndex)
    {
        var before = int.Parse(blockIndex);
        var qna = CountQnA(stage, before);
        var windows = stage.Blocks.Take(before).Count(other => other.Attention is WindowAttention or GlobalAttention);
        return block.Attention switch
        {
            QnAAttention => $"QnAStage_{stageIndex}/QnA_Block_{qna + 1}",
            WindowAttention or GlobalAttention => $"LSAStage_{stageIndex}/MSA_Block_{windows + 1}",
            _ => null,
        };
    }

    private static StoredParameter? InBlock(string? block, string[] rest, Attention attention) => (block, rest) switch
    {
        (null, _) => null,
        (_, ["attn", .. var inner]) when attention is QnAAttention => QnA($"{block}/FusedKQnA_0", inner),
        (_, ["attn", .. var inner]) => SelfAttention($"{block}/MultiHeadSelfAttention_0", inner),
        _ => AroundAttention(block, rest),
    };

    private static StoredParameter? InTransition(string block, string[] rest, QnADownsampling transition) => rest switch
    {
        ["attn", .. var inner] => QnA($"{block}/FusedKQnA_0", inner),
        ["skip", "weight"] => new(
            transition.Skip == SkipPath.Convolution ? $"{block}/Conv_0/kernel" : $"{block}/AvgPool1x1Conv_0/Conv_0/kernel",
            ParameterLayout.ChannelsLast),
        _ => AroundAttention(block, rest),
    };

    private static StoredParameter? AroundAttention(string block, string[] rest) => rest switch
    {
        ["norm1", var field] => Norm($"{block}/LayerNorm_0", field),
        ["norm2", var field] => Norm($"{block}/LayerNorm_1", field),
        ["mlp", "fc1", var field] => Dense($"{block}/MlpBlock_0/Dense_0", field),
        ["mlp", "fc2", var field] => Dense($"{block}/MlpBlock_0/Dense_1", field),
        ["gamma_1"] => new($"{block}/LayerScale_0/scale_param", ParameterLayout.Same),
        ["gamma_2"] => new($"{block}/LayerScale_1/scale_param", ParameterLayout.Same),
        _ => null,
    };

    private static StoredParameter? SelfAttention(string layer, string[] rest) => rest switch
    {
        ["qkv", var field] => Dense($"{layer}/to_qkv", field),
        ["proj", var field] => Dense($"{layer}/to_out", field),
        ["relative_position_bias_table"] => new($"{layer}/RelativePositionalEmbedding_0/rpe_bias", ParameterLayout.Same),
        _ => null,
    };

    /// <summary>QnA's own parameters have Flax's names and layouts in the model too, all but its linear layers.</summary>
    private static StoredParameter? QnA(string layer, string[] rest) => rest switch
    {
        ["to_v" or "to_out", var field] => Dense($"{layer}/{rest[0]}", field),
        ["query" or "Wk" or "Wk_b" or "attn_scale_weights" or "attn_scale_pos" or "rpe_bias" or "absolute_pos_embedding"] =>
            new($"{layer}/{rest[0]}", ParameterLayout.Same),
        ["rpe_bias", "kernel" or "bias"] => new($"{layer}/rpe_bias/{rest[1]}", ParameterLayout.Same),
        _ => null,
    };

    private static StoredParameter? Dense(string layer, string field) => field switch
    {
        "weight" => new($"{layer}/kernel", ParameterLayout.InputFirst),
        "bias" => new($"{layer}/bias", ParameterLayout.Same),
        _ => null,
    };

    private static StoredParameter? Norm(string layer, string field) => field switch
    {
        "weight" => new($"{layer}/scale", ParameterLayout.Same),
        "bias" => new($"{layer}/bias", ParameterLayout.Same),
        _ => null,
    };
}
