/// Models and images that train in milliseconds, and what their parameters are, bit for bit.
module LocalAttention.Training.Tests.Models

open System
open LocalAttention.Oracle
open LocalAttention.Core.Backbones
open LocalAttention.Core.Data
open LocalAttention.Core.Specification
open LocalAttention.Core.Tests.Tensors
open TorchSharp

/// One of each kind of attention, stochastic depth that draws random numbers, 8×8 grey images, four classes.
let tiny =
    let block (attention: Attention) = Block(attention, MlpRatio = 2.0)

    Architecture(
        "tiny",
        PatchStem(2, 8),
        ValueList.From
            [ Stage(
                  ValueList.From [ block (QnAAttention(3, 2)); block (SlideAttention(3, 2)) ],
                  Transition = QnADownsampling(QnAAttention(3, 2))
              )
              Stage(ValueList.From [ block (WindowAttention(2, 4)); block (GlobalAttention(4)) ]) ],
        AveragePoolHead 4,
        ImageChannels = 1,
        Resolution = ImageSize.Square 8,
        DropPath = 0.3
    )

/// The same without randomness.
let still = tiny.With(dropPath = 0.0)

/// All of it has Flax names.
let flax =
    QnAViT.Create(
        "tiny-qna-vit",
        4,
        [| 1; 2 |],
        [| 1; 1 |],
        [| 3; 3 |],
        [| 0; 1 |],
        [| 2; 2 |],
        [| 1; 2 |],
        resolution = ImageSize.Square 16,
        classes = 3,
        layerScale = 0.1,
        imageChannels = 1
    )

/// The names of the four classes of `images`.
let classes = [ "none"; "top"; "left"; "both" ]

/// Grey 8×8 images of four classes: noise that is brighter at the top, at the left, at both or nowhere.
let images (count: int) : ImageDataset =
    let noise = Counter.numbers "images" (count * 64)

    let pixel index =
        let image, y, x = index / 64, index / 8 % 8, index % 8

        let bright side bit =
            if side < 4 && image / bit % 2 = 1 then 60.0 else 0.0

        byte (95.0 + 40.0 * noise[index] + bright y 1 + bright x 2)

    use pixels =
        torch.tensor (Array.init (count * 64) pixel, ReadOnlySpan [| int64 count; 1L; 8L; 8L |])

    use labels = torch.tensor (Array.init count (fun image -> int64 (image % 4)))
    ImageDataset.FromTensors(pixels, labels, classes)

/// A tensor's own bytes, in row-major order.
let bytesOf (tensor: torch.Tensor) =
    use _ = torch.NewDisposeScope()
    tensor.detach().contiguous().bytes.ToArray()

/// The bytes of every parameter.
let bits (model: Module) =
    namedParameters model
    |> List.map (fun (name, parameter) -> name, bytesOf parameter)
    |> Map.ofList

/// The logits for some images, without randomness.
let logits (model: Backbone) (images: torch.Tensor) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    model.eval ()
    toArray (model.forward images)

/// Images of the architecture's own size from the counter, in the model's element type.
let input (architecture: Architecture) (dtype: torch.ScalarType) =
    let size = architecture.Resolution
    toTensor dtype (Counter.array "input" [| 2; architecture.ImageChannels; size.Height; size.Width |])
