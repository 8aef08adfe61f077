/// Dispose scopes: what they free, what leaves them, what they count.
module LocalAttention.Tests.Scopes

open System
open System.Threading
open TorchSharp
open Expecto
open LocalAttention.Tests.Values

let private alive (tensor: Tensor) = not tensor.IsInvalid

let private freeing =
    testList
        "freeing"
        [ test "the end of a scope disposes what was made in it" {
              let before = torch.zeros 1L
              let scope = torch.NewDisposeScope()
              let inside = torch.zeros 1L
              let derived = inside + 1.0
              Expect.equal scope.DisposablesCount 2 "counted"
              scope.Dispose()
              Expect.equal (alive inside, alive derived, alive before) (false, false, true) "alive"
          }
          test "inner scopes take what is made in them, outer ones get it by MoveToOuter" {
              use outer = torch.NewDisposeScope()
              let inner = torch.NewDisposeScope()
              let goes, stays = torch.zeros 1L, inner.MoveToOuter(torch.zeros 1L)
              inner.Dispose()
              Expect.equal (alive goes, alive stays) (false, true) "after the inner scope"
              Expect.isTrue (outer.Contains stays) "in the outer scope"
              outer.Dispose()
              Expect.isFalse (alive stays) "after the outer scope"
          }
          test "MoveToOuterDisposeScope without an outer scope detaches" {
              let scope = torch.NewDisposeScope()
              let tensor = torch.zeros(1L).MoveToOuterDisposeScope()
              scope.Dispose()
              Expect.isTrue (alive tensor) "alive"
          }
          test "what is detached outlives every scope" {
              let scope = torch.NewDisposeScope()
              let byTensor = torch.zeros(1L).DetachFromDisposeScope()
              let byScope = scope.Detach(torch.zeros 1L)
              scope.Dispose()
              Expect.equal (alive byTensor, alive byScope) (true, true) "alive"
          }
          test "a tensor from elsewhere can be attached" {
              let tensor = torch.zeros 1L
              let scope = torch.NewDisposeScope()
              scope.Attach(tensor :> IDisposable)
              scope.Dispose()
              Expect.isFalse (alive tensor) "disposed"
          }
          test "DisposeEverythingBut keeps what it is told, until the scope ends" {
              let scope = torch.NewDisposeScope()
              let kept, gone = torch.zeros 1L, torch.zeros 1L
              Expect.isTrue (Object.ReferenceEquals(scope.DisposeEverythingBut kept, kept)) "returned"
              Expect.equal (alive kept, alive gone, scope.DisposablesCount) (true, false, 1) "before"
              scope.Dispose()
              Expect.isFalse (alive kept) "at the end"
          }
          test "a tensor disposed by hand leaves its scope" {
              use scope = torch.NewDisposeScope()
              let tensor = torch.zeros 1L
              tensor.Dispose()
              Expect.equal scope.DisposablesCount 0 "count"
          }
          test "a scope ends once, and refuses to be used after" {
              let scope = torch.NewDisposeScope()
              scope.Dispose()
              scope.Dispose()
              Expect.throwsT<ObjectDisposedException> (fun () -> ignore scope.DisposablesCount) "use"
          }
          test "a thread's scopes are its own" {
              use _ = torch.NewDisposeScope()
              let mutable elsewhere = torch.zeros 1L
              let thread = Thread(fun () -> elsewhere <- torch.zeros 1L)
              thread.Start()
              thread.Join()
              torch.NewDisposeScope().Dispose()
              Expect.isTrue (alive elsewhere) "made outside of any scope of its thread"
          }
          test "gradients are freed with the parameters that hold them, not with a scope of the step" {
              let weight = torch.ones (1L, requires_grad = true)

              (fun () ->
                  use _ = torch.NewDisposeScope()
                  (weight * 3.0).sum().backward()) ()

              weight.grad |> nonNull |> holds [ 1L ] [ 3.0 ]
          } ]

let private statistics =
    /// The counts of this thread that `f` adds.
    let counted (f: unit -> unit) =
        let counts = DisposeScopeManager.Statistics.TensorStatistics
        counts.Reset()
        f ()

        [ counts.CreatedInScopeCount
          counts.DisposedInScopeCount
          counts.CreatedOutsideScopeCount
          counts.DisposedOutsideScopeCount
          counts.AttachedToScopeCount
          counts.DetachedFromScopeCount
          counts.ThreadTotalLiveCount ]

    testList
        "statistics"
        [ test "outside of scopes" {
              (fun () ->
                  use _ = torch.zeros 1L
                  torch.zeros 1L |> ignore)
              |> counted
              |> fun counts -> Expect.equal counts [ 0L; 0L; 2L; 1L; 0L; 0L; 1L ] "counts"
          }
          test "inside" {
              (fun () ->
                  use _ = torch.NewDisposeScope()
                  torch.zeros(1L).DetachFromDisposeScope() |> ignore
                  torch.zeros 1L |> ignore)
              |> counted
              |> fun counts -> Expect.equal counts [ 2L; 1L; 0L; 0L; 0L; 1L; 1L ] "counts"
          }
          test "attached" {
              (fun () ->
                  let tensor = torch.zeros 1L
                  use scope = torch.NewDisposeScope()
                  scope.Attach(tensor :> IDisposable))
              |> counted
              |> fun counts -> Expect.equal counts [ 0L; 1L; 1L; 0L; 1L; 0L; 0L ] "counts"
          }
          test "print themselves" {
              let text = DisposeScopeManager.Statistics.TensorStatistics.ToString()
              Expect.stringStarts text "ThreadTotalLiveCount: " "text"
              Expect.stringContains text "; DetachedFromScopeCount: " "text"
          } ]

let tests = testList "dispose scopes" [ freeing; statistics ]
