// Files for `forward` and `predict`, from Fashion-MNIST's test set: `dotnet fsi samples/command-line/images.fsx` writes, where
// it is called, shoe.png and bag.png, and in images.safetensors 40 images normalised as those that a model learned from.
#load "../../LocalAttention.fsx"

open LocalAttention.Core.Checkpoints
open LocalAttention.Core.Data
open LocalAttention.Dsl
open TorchSharp

let test = (fashionMnist ()).Test

for file, kind in [ "shoe.png", "Ankle boot"; "bag.png", "Bag" ] do
    let label = Seq.findIndex ((=) kind) test.Classes
    let first = Seq.findIndex ((=) (int64 label)) (test.Labels.data<int64>())
    PngFile.Write(file, PixelImage.FromTensor test.Images[int64 first])

let struct (images, _) = test.Batch(System.ReadOnlySpan [| 0L .. 39L |])

SafetensorsFile.Write(
    "images.safetensors",
    [ struct ("images", test.Normalization.Apply(images, torch.float32)) ]
)
