// A small QnA model in C# alone: define, train, save, load, predict.
//   dotnet run -c Release --project samples/CSharpConsumer
using LocalAttention.Core.Backbones;
using LocalAttention.Core.Checkpoints;
using LocalAttention.Core.Data;
using LocalAttention.Core.Specification;
using LocalAttention.Core.Training;
using TorchSharp;
using static TorchSharp.torch;

// An architecture is a value: records, no tensors yet. Two written alike are equal, and With changes a copy.
var block = new Block(new QnAAttention(window: 3, heads: 4) { Queries = 2 });
var architecture = new Architecture(
    "small-qna",
    new ConvolutionStem([new Convolution(Kernel: 3, Stride: 2, Channels: 16), new Convolution(3, 2, 32)]),
    [
        new Stage([block, block]) { Transition = new QnADownsampling(new QnAAttention(window: 3, heads: 8)) },
        new Stage([new Block(new SlideAttention(window: 3, heads: 8))]),
    ],
    new AveragePoolHead(Classes: 10))
{
    ImageChannels = 1,
    Resolution = ImageSize.Square(28),
};

foreach (var layer in ShapeInference.Trace(architecture))
{
    Console.WriteLine($"{layer.Place,-20} {layer.Kind,-17} {layer.Output,-10} {layer.Parameters.All,8:N0}");
}

// What cannot be built says why, and what would be right: as values, or as the message of Build's exception.
foreach (var problem in Validation.Check(architecture.With(imageChannels: 0, head: new AveragePoolHead(-1))))
{
    Console.WriteLine($"  {problem}");
}

// A backbone is a TorchSharp module.
using var model = architecture.Build(seed: 1);
Console.WriteLine($"{model.parameters().Sum(parameter => parameter.NumberOfElements):N0} parameters on {CPU}");

var (training, test) = FashionMnist.Load();
var options = new TrainingOptions { Epochs = 2, BatchSize = 64, LearningRate = 3e-3, Seed = 1 };
using (var trainer = new Trainer(model, training.Take(2048), test.Take(512), options))
{
    ConsoleProgress.Show(progress => trainer.Run(progress));
}

// The file holds the architecture too: it alone is enough.
var path = Path.Combine(Path.GetTempPath(), "small-qna.safetensors");
Checkpoint.Save(model, path);
using var loaded = Checkpoint.Load(path);
Console.WriteLine($"{path}: the same architecture {loaded.Architecture == architecture}");

// Predict as with any module.
loaded.eval();
using (no_grad())
using (NewDisposeScope())
{
    var (images, labels) = test.Batch([0, 1, 2, 3, 4]);
    var classes = loaded.call(test.Normalization.Apply(images, ScalarType.Float32)).argmax(1);
    for (var index = 0; index < 5; index++)
    {
        Console.WriteLine($"seen {test.Classes[(int)classes[index].item<long>()],-12} is {test.Classes[(int)labels[index].item<long>()]}");
    }
}
Console.WriteLine($"{architecture.Name} test accuracy {Evaluation.Of(loaded, test).Accuracy:0.0000}");
File.Delete(path);
