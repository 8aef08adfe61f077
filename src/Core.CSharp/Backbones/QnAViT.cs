using LocalAttention.Core.Specification;

namespace LocalAttention.Core.Backbones;

/// <summary>
/// QnA-ViT: windowed self-attention, then query-and-attend, in each stage, and QnA between stages (CVPR 2022,
/// arXiv 2112.11435). Values only; <c>Build</c> makes the model.
/// </summary>
public static class QnAViT
{
    /// <summary>15,715,560 parameters, 2.5 GFLOPs at 224×224.</summary>
    public static Architecture Tiny { get; } = Create(
        "qna-vit-tiny", 64, [8, 16, 32, 64], [2, 3, 2, 0], [3, 3, 3, 3], [0, 0, 4, 2], [7, 7, 14, 7], [2, 4, 8, 16],
        dropPath: 0.05);

    /// <summary>15,753,960 parameters: <see cref="Tiny"/> with windows of 7×7 in its QnA layers.</summary>
    public static Architecture Tiny7x7 { get; } = Create(
        "qna-vit-tiny-7x7", 64, [8, 16, 32, 64], [2, 3, 2, 0], [7, 7, 7, 7], [0, 0, 4, 2], [7, 7, 14, 7], [2, 4, 8, 16],
        dropPath: 0.05);

    /// <summary>24,971,560 parameters, 4.4 GFLOPs at 224×224.</summary>
    public static Architecture Small { get; } = Create(
        "qna-vit-small", 64, [8, 16, 32, 64], [2, 3, 6, 0], [3, 3, 3, 3], [0, 0, 12, 2], [7, 7, 14, 7], [2, 4, 8, 16],
        dropPath: 0.2);

    /// <summary>55,670,008 parameters, 9.7 GFLOPs at 224×224.</summary>
    public static Architecture Base { get; } = Create(
        "qna-vit-base", 96, [6, 12, 24, 48], [2, 3, 6, 0], [3, 3, 3, 3], [0, 0, 12, 2], [7, 7, 14, 7], [3, 6, 12, 24],
        dropPath: 0.5);

    /// <summary>
    /// A QnA-ViT of any size: patches of 4×4; in each stage windowed self-attention, then QnA; between stages QnA of
    /// stride 2 that doubles channels and heads. The parameters have the official code's names.
    /// </summary>
    /// <param name="name">The model's name.</param>
    /// <param name="baseDim">Channels of the first stage (<c>base_dim</c>).</param>
    /// <param name="qnaHeads">Heads of each stage's QnA layers (<c>qna_heads</c>).</param>
    /// <param name="qnaLayers">QnA blocks of each stage, downsampling not counted (<c>qna_layers</c>).</param>
    /// <param name="qnaWindows">Windows of each stage's QnA layers (<c>qna_receptive_field</c>).</param>
    /// <param name="lsaLayers">Window attention blocks of each stage (<c>lsa_layers</c>).</param>
    /// <param name="lsaWindows">Their windows (<c>lsa_window</c>).</param>
    /// <param name="lsaHeads">Their heads (<c>lsa_heads</c>).</param>
    /// <param name="resolution">The image size; none: 224×224.</param>
    /// <param name="classes">Logits; 0: pooled features.</param>
    /// <param name="queries">Learned queries of the QnA layers (<c>qna_num_queries</c>).</param>
    /// <param name="norm">The queries' norm (<c>qna_normalize_q</c>); none: unit norm.</param>
    /// <param name="layerScale">Initial value of the layer scales (<c>layer_scale</c>); none: no scale.</param>
    /// <param name="dropPath">The rate of stochastic depth at the last block (<c>drop_path</c>).</param>
    /// <param name="imageChannels">Channels of the image.</param>
    /// <exception cref="ArgumentException">The lists have different lengths.</exception>
    public static Architecture Create(
        string name,
        int baseDim,
        IReadOnlyList<int> qnaHeads,
        IReadOnlyList<int> qnaLayers,
        IReadOnlyList<int> qnaWindows,
        IReadOnlyList<int> lsaLayers,
        IReadOnlyList<int> lsaWindows,
        IReadOnlyList<int> lsaHeads,
        ImageSize? resolution = null,
        int classes = 1000,
        int queries = 2,
        QueryNorm? norm = null,
        double? layerScale = null,
        double dropPath = 0,
        int imageChannels = 3)
    {
        int[] lengths = [qnaHeads.Count, qnaLayers.Count, qnaWindows.Count, lsaLayers.Count, lsaWindows.Count, lsaHeads.Count];
        if (lengths.Distinct().Count() > 1)
        {
            throw new ArgumentException(
                $"'{name}' has lists for {string.Join(", ", lengths)} stages; give one value of each for every stage");
        }
        QnAAttention QnA(int stage, int heads) =>
            new(qnaWindows[stage], heads) { Queries = queries, Norm = norm ?? QueryNorm.Unit };

        WindowAttention Window(int stage) => new(lsaWindows[stage], lsaHeads[stage])
        {
            Order = QkvOrder.HeadMajor,
            QkvBias = false,
            ProjectionBias = false,
        };

        Stage StageAt(int stage)
        {
            var windows = Enumerable.Repeat<Attention>(Window(stage), lsaLayers[stage]);
            var qna = Enumerable.Repeat<Attention>(QnA(stage, qnaHeads[stage]), qnaLayers[stage]);
            var blocks = windows.Concat(qna).Select(attention => new Block(attention) { LayerScale = layerScale });
            var isLast = stage == qnaHeads.Count - 1;
            return new Stage(ValueList.From(blocks))
            {
                Transition = isLast ? null : new QnADownsampling(QnA(stage, 2 * qnaHeads[stage])) { LayerScale = layerScale },
            };
        }

        var stem = new PatchStem(4, baseDim) { Bias = false, Norm = false };
        var stages = ValueList.From(Enumerable.Range(0, qnaHeads.Count).Select(StageAt));
        return new Architecture(name, stem, stages, new AveragePoolHead(classes))
        {
            ImageChannels = imageChannels,
            Resolution = resolution ?? ImageSize.Square(224),
            DropPath = dropPath,
            Conventions = Conventions.Flax,
        };
    }
}
