/// Gradients: when they are recorded, what backward and autograd.grad compute, and where they end up.
module LocalAttention.Tests.Gradients

open System
open System.Collections.Generic
open System.Runtime.InteropServices
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private variable (values: float list) = (vector values).requires_grad_()
let private gradient (tensor: Tensor) = nonNull tensor.grad

let private modes =
    testList
        "modes"
        [ test "no_grad stops recording until it is disposed, enable_grad starts it within" {
              let x = variable [ 1.0 ]
              let recorded () = (x * 2.0).requires_grad
              let off = torch.no_grad ()
              Expect.equal (recorded (), torch.is_grad_enabled ()) (false, false) "no_grad"
              let on = torch.enable_grad ()
              Expect.isTrue (recorded ()) "enable_grad"
              on.Dispose()
              Expect.isFalse (recorded ()) "no_grad again"
              off.Dispose()
              Expect.equal (recorded (), torch.is_grad_enabled ()) (true, true) "after"
          }
          test "set_grad_enabled does either" {
              let x = variable [ 1.0 ]

              for mode in [ false; true ] do
                  use _ = torch.set_grad_enabled mode
                  Expect.equal ((x * 2.0).requires_grad) mode "recorded"

              Expect.isTrue (torch.is_grad_enabled ()) "after"
          }
          test "inference_mode stops recording and says so" {
              let x = variable [ 1.0 ]
              let mode = torch.inference_mode ()

              Expect.equal
                  (torch.is_inference_mode_enabled (), (x * 2.0).requires_grad)
                  (true, false)
                  "inside"

              mode.Dispose()
              Expect.equal (torch.is_inference_mode_enabled (), (x * 2.0).requires_grad) (false, true) "after"
          }
          test "detach leaves the graph, requires_grad_ joins one" {
              let x = variable [ 1.0 ]
              Expect.isFalse ((x * 2.0).detach().requires_grad) "detached"
              Expect.equal (x.is_leaf, (x * 2.0).is_leaf) (true, false) "leaves"
              Expect.isTrue ((vector [ 1.0 ]).requires_grad_().requires_grad) "asked"
              Expect.isTrue ((vector [ 1.0 ]).with_requires_grad().requires_grad) "with"
          }
          test "a parameter requires gradients" {
              Expect.isTrue (torch.nn.Parameter(torch.zeros 1L).requires_grad) "by default"

              Expect.isFalse
                  (torch.nn.Parameter(torch.zeros 1L, requires_grad = false).requires_grad)
                  "asked not to"
          } ]

let private backward =
    testList
        "backward"
        [ test "of a polynomial" {
              let x = variable [ 1.0; 2.0 ]
              (x * x * 3.0 + x).sum().backward()
              gradient x |> holds [ 2L ] [ 7.0; 13.0 ]
          }
          test "adds to the gradient that is there, until it is cleared" {
              let x = variable [ 1.0 ]
              x.sum().backward()
              x.sum().backward()
              gradient x |> holds [ 1L ] [ 2.0 ]
              (gradient x).zero_() |> ignore
              gradient x |> holds [ 1L ] [ 0.0 ]
          }
          test "there is none before" { Expect.isNull ((variable [ 1.0 ]).grad) "no gradient" }
          test "weighs the outputs by the gradients it is given" {
              let x = variable [ 1.0; 2.0 ]
              (x * 2.0).backward(ResizeArray [ vector [ 1.0; 10.0 ] ])
              gradient x |> holds [ 2L ] [ 2.0; 20.0 ]
          }
          test "twice if the graph is retained" {
              let x = variable [ 3.0 ]
              let y = (x * x).sum()
              y.backward (retain_graph = true)
              y.backward ()
              gradient x |> holds [ 1L ] [ 12.0 ]
          }
          test "of an intermediate, if it retains its own" {
              let x = variable [ 3.0 ]
              let middle = x * 2.0
              middle.retain_grad ()
              (middle * middle).sum().backward()
              gradient middle |> holds [ 1L ] [ 12.0 ]
          }
          test "through views and indexing" {
              let x = (counting [ 2L; 2L ]).requires_grad_()
              let row = x.t()[0L]
              (row * vector [ 1.0; 5.0 ]).sum().backward()
              gradient x |> holds [ 2L; 2L ] [ 1.0; 0.0; 5.0; 0.0 ]
          }
          test "through a broadcast sums over it" {
              let x = variable [ 1.0 ]
              (x + torch.zeros (3L, 2L)).sum().backward()
              gradient x |> holds [ 1L ] [ 6.0 ]
          }
          test "through max goes to the largest" {
              let x = variable [ 1.0; 5.0; 2.0 ]
              x.max().backward()
              gradient x |> holds [ 3L ] [ 0.0; 1.0; 0.0 ]
          }
          test "of a convolution and a layer norm, against differences" {
              torch.manual_seed 1L |> ignore

              let weight =
                  torch.randn ([| 2L; 2L; 3L; 3L |], dtype = Nullable torch.float64, requires_grad = true)

              let image = torch.randn ([| 1L; 2L; 4L; 4L |], dtype = Nullable torch.float64)

              let loss (weight: Tensor) =
                  let map = torch.nn.functional.conv2d (image, weight, padding = [| 1L; 1L |])
                  torch.nn.functional.layer_norm(map, [| 4L |]).pow(scalar 3.0).sum()

              (loss weight).backward()
              use _ = torch.no_grad ()
              // Central differences err by h² f‴ / 6 + ε |f| / h: near 1e-7 for values of order 10 at this h.
              let h = 1e-5

              let moved (by: float) =
                  let other = weight.detach().clone()
                  other[1L, 0L, 2L, 1L].add_(scalar by) |> ignore
                  loss other

              let difference = ((moved h).ToDouble() - (moved -h).ToDouble()) / (2.0 * h)
              let all = gradient weight
              let exact = all[1L, 0L, 2L, 1L].ToDouble()
              Expect.isLessThan (abs (difference - exact)) (1e-6 * max 1.0 (abs exact)) "gradient"
          }
          test "grad can be set and taken away" {
              let x = variable [ 1.0 ]
              x.grad <- vector [ 4.0 ]
              gradient x |> holds [ 1L ] [ 4.0 ]
              x.grad <- null
              Expect.isNull x.grad "taken away"
          } ]

let private grad =
    let of' (outputs: Tensor list) (inputs: Tensor list) =
        torch.autograd.grad (ResizeArray outputs, ResizeArray inputs)

    testList
        "autograd.grad"
        [ test "returns gradients and leaves grad alone" {
              let x, y = variable [ 2.0 ], variable [ 3.0 ]
              let gradients = of' [ x * y ] [ x; y ]
              gradients[0] |> holds [ 1L ] [ 3.0 ]
              gradients[1] |> holds [ 1L ] [ 2.0 ]
              Expect.isNull x.grad "no gradient kept"
          }
          test "of a gradient: second derivatives" {
              let x = variable [ 2.0 ]

              let first =
                  torch.autograd.grad (
                      ResizeArray [ x * x * x ],
                      ResizeArray [ x ],
                      retain_graph = true,
                      create_graph = true
                  )

              first[0] |> holds [ 1L ] [ 12.0 ]
              (of' [ first[0] ] [ x ])[0] |> holds [ 1L ] [ 12.0 ]
          }
          test "with weights of the outputs" {
              let x = variable [ 1.0; 1.0 ]

              let gradients =
                  torch.autograd.grad (
                      ResizeArray [ x * 3.0 ],
                      ResizeArray [ x ],
                      ResizeArray [ vector [ 1.0; 2.0 ] ]
                  )

              gradients[0] |> holds [ 2L ] [ 3.0; 6.0 ]
          }
          test "an input that is not used is a mistake" {
              onlyOwnEngine "TorchSharp ends the process when autograd.grad fails."
              let x, unused = variable [ 1.0 ], variable [ 1.0 ]

              (fun () -> of' [ x * 2.0 ] [ unused ] |> ignore)
              |> throwsWith<ExternalException>(says "appears to not have been used in the graph")
          }
          test "an input that is not used is skipped if that is allowed" {
              let x, unused = variable [ 1.0 ], variable [ 1.0 ]

              let gradients =
                  torch.autograd.grad (
                      ResizeArray [ x * 2.0 ],
                      ResizeArray [ x; unused ],
                      allow_unused = true
                  )

              gradients[0] |> holds [ 1L ] [ 2.0 ]
          } ]

let tests = testList "gradients" [ modes; backward; grad ]
