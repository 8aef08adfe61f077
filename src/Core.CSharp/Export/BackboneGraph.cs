using LocalAttention.Core.Backbones;
using LocalAttention.Core.Specification;
using TorchSharp;

namespace LocalAttention.Core.Export;

/// <summary>
/// The graph of a whole model for images of one size, part by part as <see cref="Walk"/> goes through the architecture; the
/// model gives the parameters.
/// </summary>
internal sealed class BackboneGraph
{
    /// <summary>The name of the graph's input: <c>[batch, channels, H, W]</c>.</summary>
    public const string Images = "images";

    /// <summary>The name of its output: <c>[batch, classes]</c>.</summary>
    public const string Logits = "logits";

    /// <summary>The name of its output where the head has no classes: <c>[batch, C]</c>.</summary>
    public const string Features = "features";

    private readonly Architecture _architecture;
    private readonly Conventions _conventions;
    private readonly ModelPart _model;
    private readonly OnnxGraph _graph = new();

    private BackboneGraph(Backbone model)
    {
        (_architecture, _conventions) = (model.Architecture, model.Architecture.Conventions);
        _model = new ModelPart(model);
    }

    /// <summary>The graph.</summary>
    /// <param name="model">The model, its parameters in float32.</param>
    /// <param name="image">The size of the images, which the architecture admits.</param>
    public static OnnxGraph Of(Backbone model, ImageSize image)
    {
        var backbone = new BackboneGraph(model);
        backbone.Emit(image);
        return backbone._graph;
    }

    private void Emit(ImageSize image)
    {
        var parts = new Queue<Part>(Walk.Through(_architecture, image));
        // Where a class token goes with the map, the value is a map of one row, the token first.
        var value = StemNodes.Of(
            _graph.At(parts.Dequeue().Place), _model["patch_embed"], _architecture.Stem,
            _graph.Input(Images, _architecture.ImageChannels, image.Height, image.Width), _conventions);
        for (var stage = 0; stage < _architecture.Stages.Count; stage++)
        {
            value = Through(parts, _architecture.Stages[stage], stage, value);
        }
        value = Classified(_graph.At(parts.Dequeue().Place), _architecture.Head, value);
        _graph.Output(_architecture.Head.Classes > 0 ? Logits : Features, value);
    }

    private OnnxValue Through(Queue<Part> parts, Stage stage, int index, OnnxValue value)
    {
        var layers = _model[$"layers.{index}"];
        if (parts.Peek() is EmbeddingPart embedding)
        {
            value = Embedded(_graph.At(parts.Dequeue().Place), layers, embedding, index, value);
        }
        for (var block = 0; block < stage.Blocks.Count; block++)
        {
            value = BlockNodes.Of(
                _graph.At(parts.Dequeue().Place), layers[$"blocks.{block}"], stage.Blocks[block], value, _conventions);
        }
        if (stage.Norm)
        {
            value = _graph.At(parts.Dequeue().Place).Norm(layers["norm"], value, _conventions.NormEpsilon);
        }
        return stage.Transition is { } transition
            ? TransitionNodes.Of(_graph.At(parts.Dequeue().Place), layers["downsample"], transition, value, _conventions)
            : value;
    }

    /// <summary>The map with what was learned of its places, behind the class token where there is one.</summary>
    private OnnxValue Embedded(OnnxGraph graph, ModelPart layers, EmbeddingPart embedding, int stage, OnnxValue map)
    {
        var (size, classTokens) = (embedding.Map.Size, embedding.ClassTokens);
        var channels = map.Shape[3];
        if (embedding.Positions)
        {
            var (vectors, declared) = (layers.Parameter("pos_embed"), DeclaredSize(stage));
            map = graph.Add(map, graph.Weight(layers.NameOf("pos_embed"), [1, size.Height, size.Width, channels], () =>
                PositionEmbedding.At(vectors.narrow(1, classTokens, vectors.size(1) - classTokens), declared, size)));
        }
        if (classTokens == 0)
        {
            return map;
        }
        var token = _model.Parameter("cls_token");
        var own = layers.Find("pos_embed");
        var first = graph.Weight(
            "cls_token", [1, 1, channels], () => own is null ? token : token + own.narrow(1, 0, classTokens));
        var tokens = graph.Join(1, graph.ForEachImage(first, map), graph.InRow(map));
        return graph.Reshape(tokens, OnnxValue.FromBatch, 1, tokens.Shape[1], channels);
    }

    /// <summary>The size of a stage's map that its embedding was learned for.</summary>
    private ImageSize DeclaredSize(int stage) => Walk.Through(_architecture, _architecture.Resolution)
        .OfType<EmbeddingPart>()
        .Single(part => part.Place.StartsWith($"stage {stage + 1},", StringComparison.Ordinal))
        .Map.Size;

    /// <summary>From the last map to logits, or to the pooled features.</summary>
    private OnnxValue Classified(OnnxGraph graph, Head head, OnnxValue map)
    {
        var tokens = head is ClassTokenHead ? graph.Slice(map, 2, 0, 1) : map;
        var normalised = graph.At("norm").Norm(_model["norm"], tokens, _conventions.NormEpsilon);
        var pooled = head switch
        {
            QnAPoolHead pool => Pooled(graph, pool, normalised),
            ClassTokenHead => graph.Reshape(normalised, OnnxValue.FromBatch, map.Shape[3]),
            _ => graph.Mean(normalised, 1, 2),
        };
        return head.Classes > 0 ? graph.Linear(_model["head"], pooled) : pooled;
    }

    private OnnxValue Pooled(OnnxGraph graph, QnAPoolHead head, OnnxValue map)
    {
        var attention = head.Attention.With(window: (int)map.Shape[1]);
        var attended = graph.Reshape(
            QnANodes.Of(graph.At("attention"), _model["pool"], attention, _model["norm"], map, pooling: true),
            OnnxValue.FromBatch, map.Shape[3]);
        return head.Skip ? graph.Add(attended, graph.Mean(map, 1, 2)) : attended;
    }
}
