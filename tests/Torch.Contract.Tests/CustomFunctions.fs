/// Functions with a forward and a backward pass written in .NET.
module LocalAttention.Tests.CustomFunctions

open System
open System.Collections.Generic
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

type private Context = torch.autograd.AutogradContext

/// x ↦ factor · x², where the factor is a plain number.
type ScaledSquare() =
    inherit torch.autograd.SingleTensorFunction<ScaledSquare>()
    override _.Name = "ScaledSquare"

    override _.forward(ctx: Context, [<ParamArray>] vars: obj[]) =
        let x, factor = vars[0] :?> Tensor, vars[1] :?> float
        ctx.save_for_backward (ResizeArray [ x ])
        ctx.save_data ("factor", factor)
        x * x * factor

    override _.backward(ctx: Context, grad_output: Tensor) =
        let x = ctx.get_saved_variables()[0]
        let factor = ctx.get_data "factor" :?> float
        ResizeArray [ grad_output * x * (2.0 * factor); null ]

/// (a, b) ↦ (a + b, a · b), and the sign of a · b, which has no gradient.
type SumAndProduct() =
    inherit torch.autograd.MultiTensorFunction<SumAndProduct>()
    override _.Name = "SumAndProduct"

    override _.forward(ctx: Context, [<ParamArray>] vars: obj[]) =
        let a, b = vars[0] :?> Tensor, vars[1] :?> Tensor
        let sign = (a * b).sign()
        ctx.save_for_backward (ResizeArray [ a; b ])
        ctx.mark_non_differentiable (ResizeArray [ sign ])
        ResizeArray [ a + b; a * b; sign ]

    override _.backward(ctx: Context, grad_outputs: List<Tensor>) =
        let saved = ctx.get_saved_variables ()

        ResizeArray
            [ grad_outputs[0] + grad_outputs[1] * saved[1]
              grad_outputs[0] + grad_outputs[1] * saved[0] ]

/// The identity, whose gradient is a constant that lives on.
type ConstantGradient() =
    inherit torch.autograd.SingleTensorFunction<ConstantGradient>()
    static member val Gradient = vector [ 5.0 ]
    static member val Received: Tensor = torch.zeros 1L with get, set
    override _.Name = "ConstantGradient"

    override _.forward(_: Context, [<ParamArray>] vars: obj[]) = (vars[0] :?> Tensor).clone()

    override _.backward(_: Context, grad_output: Tensor) =
        ConstantGradient.Received <- grad_output
        ResizeArray [ ConstantGradient.Gradient ]

/// Fails on the way back, as the text says.
type Failing() =
    inherit torch.autograd.SingleTensorFunction<Failing>()
    override _.Name = "Failing"

    override _.forward(_: Context, [<ParamArray>] vars: obj[]) = (vars[0] :?> Tensor).clone()

    override _.backward(_: Context, _: Tensor) : List<Tensor> =
        raise (InvalidOperationException "the window does not fit")

/// Returns too many gradients.
type Miscounting() =
    inherit torch.autograd.SingleTensorFunction<Miscounting>()
    override _.Name = "Miscounting"

    override _.forward(_: Context, [<ParamArray>] vars: obj[]) = (vars[0] :?> Tensor).clone()

    override _.backward(_: Context, grad_output: Tensor) =
        ResizeArray [ grad_output; grad_output ]

let private variable (values: float list) = (vector values).requires_grad_()
let private gradient (tensor: Tensor) = nonNull tensor.grad

let private crosses =
    "TorchSharp ends the process when an exception leaves a managed backward pass."

let private computing =
    testList
        "compute"
        [ test "their forward pass without recording, their backward pass as written" {
              let x = variable [ 1.0; 3.0 ]
              let y = ScaledSquare.apply (x, 0.5)
              y |> holds [ 2L ] [ 0.5; 4.5 ]
              y.sum().backward()
              gradient x |> holds [ 2L ] [ 1.0; 3.0 ]
          }
          test "one after the other" {
              let x = variable [ 2.0 ]
              ScaledSquare.apply(ScaledSquare.apply (x, 1.0), 1.0).sum().backward()
              gradient x |> holds [ 1L ] [ 32.0 ]
          }
          test "several outputs" {
              let a, b = variable [ 2.0 ], variable [ 5.0 ]
              let outputs = SumAndProduct.apply (a, b)
              (outputs[0] + outputs[1] * 10.0).sum().backward()
              gradient a |> holds [ 1L ] [ 51.0 ]
              gradient b |> holds [ 1L ] [ 21.0 ]
          }
          test "an output that is not used brings zeros" {
              let a, b = variable [ 2.0 ], variable [ 5.0 ]
              let outputs = SumAndProduct.apply (a, b)
              outputs[1].sum().backward()
              gradient a |> holds [ 1L ] [ 5.0 ]
          }
          test "an output marked as not differentiable requires no gradient" {
              let outputs = SumAndProduct.apply (variable [ 2.0 ], variable [ -5.0 ])

              Expect.equal
                  [ for output in outputs -> output.requires_grad ]
                  [ true; true; false ]
                  "requires_grad"

              outputs[2] |> holds [ 1L ] [ -1.0 ]
          }
          test "an input without gradient gets none" {
              let a, b = variable [ 2.0 ], vector [ 5.0 ]
              let outputs = SumAndProduct.apply (a, b)
              outputs[1].sum().backward()
              gradient a |> holds [ 1L ] [ 5.0 ]
              Expect.isNull b.grad "constant input"
          }
          test "nothing is recorded where no input requires gradients, or under no_grad" {
              Expect.isFalse (ScaledSquare.apply(vector [ 1.0 ], 1.0).requires_grad) "constant"
              use _ = torch.no_grad ()
              Expect.isFalse (ScaledSquare.apply(variable [ 1.0 ], 1.0).requires_grad) "no_grad"
          }
          test "work with autograd.grad" {
              let x = variable [ 3.0 ]

              let gradients =
                  torch.autograd.grad (ResizeArray [ ScaledSquare.apply (x, 1.0) ], ResizeArray [ x ])

              gradients[0] |> holds [ 1L ] [ 6.0 ]
          }
          test "their saved tensors outlive a collection" {
              let x = variable [ 3.0 ]
              let y = ScaledSquare.apply (x.clone (), 1.0)
              GC.Collect()
              GC.WaitForPendingFinalizers()
              y.sum().backward()
              gradient x |> holds [ 1L ] [ 6.0 ]
          }
          test "what they return and receive on the way back stays theirs" {
              for _ in 1..2 do
                  let x = variable [ 1.0 ]
                  ConstantGradient.apply(x).sum().backward()
                  gradient x |> holds [ 1L ] [ 5.0 ]

              ConstantGradient.Gradient |> holds [ 1L ] [ 5.0 ]
              ConstantGradient.Received |> holds [ 1L ] [ 1.0 ]
          }
          test "in a scope, let go of saved tensors and gradients on the way back" {
              onlyOwnEngine "TorchSharp leaves them to the caller's scope."
              use _ = torch.NewDisposeScope()
              let x = variable [ 1.0 ]
              let y = (x, [ 1..20 ]) ||> List.fold (fun x _ -> ScaledSquare.apply (x, 1.0))
              let sum = y.sum ()
              let before = Tensor.TotalCount
              sum.backward ()
              // Each of the twenty made four on its way back: a gradient came, a saved tensor, two results.
              Expect.isLessThan (Tensor.TotalCount - before) 5L "tensors more than before"
          } ]

let private failing =
    testList
        "fail"
        [ test "with the exception that backward threw" {
              onlyOwnEngine crosses

              (fun () -> (Failing.apply (variable [ 1.0 ])).sum().backward())
              |> throwsWith<InvalidOperationException>(says "the window does not fit")
          }
          test "through autograd.grad alike" {
              onlyOwnEngine crosses
              let x = variable [ 1.0 ]

              (fun () ->
                  torch.autograd.grad (ResizeArray [ Failing.apply(x).sum() ], ResizeArray [ x ])
                  |> ignore)
              |> throwsWith<InvalidOperationException>(says "the window does not fit")
          }
          test "by the wrong number of gradients" {
              onlyOwnEngine crosses

              (fun () -> Miscounting.apply(variable [ 1.0 ]).sum().backward())
              |> throwsWith<NotImplementedException>(
                  says "Function Miscounting returned an incorrect number of gradients (expected 1)"
              )
          }
          test "and leave the next backward pass unharmed" {
              onlyOwnEngine crosses

              for _ in 1..10 do
                  Expect.throws (fun () -> (Failing.apply (variable [ 1.0 ])).sum().backward()) "fails"
                  let x = variable [ 2.0 ]
                  ScaledSquare.apply(x, 1.0).sum().backward()
                  gradient x |> holds [ 1L ] [ 4.0 ]
          } ]

let tests = testList "custom functions" [ computing; failing ]
