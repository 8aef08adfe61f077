/// What people are told when something is wrong: the type of the exception and the words that help.
module LocalAttention.Tests.Errors

open System
open System.Runtime.InteropServices
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private fails words (f: unit -> Tensor) =
    (fun () -> f () |> ignore)
    |> throwsWith<ExternalException>(fun message -> List.iter (fun text -> says text message) words)

let private fromOperators =
    testList
        "from operators"
        [ test "shapes that do not go together" {
              (fun () -> torch.zeros 2L + torch.zeros 3L)
              |> fails
                  [ "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0" ]
          }
          test "matrices that do not go together" {
              (fun () -> torch.zeros(2L, 3L).mm(torch.zeros (2L, 3L)))
              |> fails [ "mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)" ]
          }
          test "a view of another size" {
              (fun () -> torch.zeros(6L).view(4L, 2L))
              |> fails [ "shape '[4, 2]' is invalid for input of size 6" ]
          }
          test "a view across strides" {
              (fun () -> counting([ 2L; 3L ]).t().view 6L)
              |> fails [ "view size is not compatible"; "Use .reshape(...) instead" ]
          }
          test "a dimension that is not there" {
              (fun () -> torch.zeros(2L).sum 1L)
              |> fails [ "Dimension out of range (expected to be in range of [-1, 0], but got 1)" ]
          }
          test "a convolution over the wrong number of channels" {
              (fun () ->
                  torch.nn.functional.conv2d (torch.zeros (1L, 3L, 4L, 4L), torch.zeros (1L, 2L, 3L, 3L)))
              |> fails [ "to have 2 channels, but got 3 channels" ]
          }
          test "dtypes that do not go together" {
              (fun () -> torch.zeros(2L, 2L).mm(torch.zeros (2L, 2L, dtype = Nullable torch.float64)))
              // libtorch 1 says "expected scalar type Float but found Double", libtorch 2 "got: float != double".
              |> fails [ "loat"; "ouble" ]
          }
          test "cat of shapes that differ elsewhere" {
              (fun () -> torch.cat [| torch.zeros (1L, 2L); torch.zeros (1L, 3L) |])
              |> fails [ "Sizes of tensors must match except in dimension 0" ]
          }
          test "an equation that does not fit" {
              (fun () -> torch.einsum ("ij,jk->ik", torch.zeros (2L, 3L), torch.zeros (2L, 3L)))
              |> fails [ "einsum()" ]
          }
          test "the message ends where the library's begins to list its own stack" {
              onlyOwnEngine "TorchSharp's messages carry LibTorch's stack."

              (fun () -> torch.zeros 2L + torch.zeros 3L |> ignore)
              |> throwsWith<ExternalException>(fun message ->
                  Expect.isFalse
                      (message.Contains "Exception raised from" || message.Contains '\n')
                      "one line without a stack")
          } ]

let private disposed () =
    let tensor = torch.zeros 2L
    tensor.Dispose()
    tensor

let private fromTensors =
    testList
        "from tensors"
        [ test "a disposed tensor says so, whatever is asked of it" {
              let invalid (ask: Tensor -> unit) =
                  (fun () -> ask (disposed ()))
                  |> throwsWith<InvalidOperationException>(says "Tensor invalid -- empty handle.")

              invalid (fun tensor -> ignore (tensor.Handle))
              invalid (fun tensor -> ignore (tensor.shape))
              invalid (fun tensor -> ignore (tensor.dtype))
              invalid (fun tensor -> ignore (tensor + 1.0))
              invalid (fun tensor -> ignore (torch.zeros 2L + tensor))
              invalid (fun tensor -> ignore (torch.cat [| torch.zeros 2L; tensor |]))
          }
          test "disposing twice is no mistake" {
              let tensor = disposed ()
              tensor.Dispose()
              Expect.isTrue tensor.IsInvalid "disposed"
          }
          test "a number of a tensor with several elements" {
              (fun () -> torch.zeros(2L).ToSingle() |> ignore)
              |> throwsWith<ExternalException>(says "to Scalar")
          } ]

let private fromGradients =
    testList
        "from gradients"
        [ test "backward a second time through a graph that is gone" {
              let x = torch.ones (1L, requires_grad = true)
              let y = x * x
              y.backward ()

              (fun () -> y.backward ())
              |> throwsWith<ExternalException>(says "Trying to backward through the graph a second time")
          }
          test "backward from more than a number" {
              let x = torch.ones (2L, requires_grad = true)

              (fun () -> (x * x).backward())
              |> throwsWith<ExternalException>(says "grad can be implicitly created only for scalar outputs")
          }
          test "backward from what does not depend on a parameter" {
              (fun () -> torch.ones(1L).sum().backward())
              |> throwsWith<ExternalException>(says "does not require grad")
          }
          test "a change in place of what a gradient needs" {
              let x = torch.ones (1L, requires_grad = true)
              let middle = x * 2.0
              let y = (middle * middle).sum()
              middle.add_ (scalar 1.0) |> ignore

              (fun () -> y.backward ())
              |> throwsWith<ExternalException>(says "modified by an inplace operation")
          }
          test "a change in place of a leaf that requires gradients" {
              let x = torch.ones (1L, requires_grad = true)

              (fun () -> x.add_ (scalar 1.0))
              |> fails [ "a leaf Variable that requires grad" ]
          }
          test "gradients asked of whole numbers" {
              (fun () -> torch.zeros(1L, dtype = Nullable torch.int64).requires_grad_())
              |> fails [ "floating point" ]
          } ]

let private recovery =
    testList
        "afterwards"
        [ test "an error leaves the next call unharmed" {
              for _ in 1..100 do
                  try
                      torch.zeros 2L + torch.zeros 3L |> ignore
                  with _ ->
                      ()

              torch.zeros 2L + 1.0 |> holds [ 2L ] [ 1.0; 1.0 ]
          } ]

let tests =
    testList "errors" [ fromOperators; fromTensors; fromGradients; recovery ]
