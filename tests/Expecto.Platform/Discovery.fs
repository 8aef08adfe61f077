namespace Expecto

open System
open System.Reflection

/// Finds the tests that attributes mark.
module Impl =

    let private stateOf (info: MemberInfo) =
        let has (attribute: Type) = info.IsDefined(attribute, true)

        if has typeof<FTestsAttribute> then Some Focused
        elif has typeof<TestsAttribute> then Some Normal
        elif has typeof<PTestsAttribute> then Some Pending
        else None

    let private valueOf (info: MemberInfo) =
        let value =
            match info with
            | :? PropertyInfo as property -> property.GetValue null
            | :? FieldInfo as field -> field.GetValue null
            | :? MethodInfo as method when method.GetParameters().Length = 0 -> method.Invoke(null, [||])
            | _ -> null

        let name = $"{info.DeclaringType.FullName}.{info.Name}"

        match value with
        | :? Test as test -> test
        | null ->
            raise (
                NullTestDiscoveryException
                    $"{name} is marked as tests and is null: an [<EntryPoint>] in the program initialises it."
            )
        | value ->
            raise (
                TestDiscoveryException
                    $"{name} is marked as tests, and is a {value.GetType().FullName}, not a Test."
            )

    /// The public tests of an assembly that are marked with `Tests`, `FTests` or `PTests`.
    let testFromAssembly (assembly: Assembly) =
        let statics = BindingFlags.Public ||| BindingFlags.Static

        // F# compiles a value to a property with a getter; the property counts.
        let isGetter (info: MemberInfo) =
            match info with
            | :? MethodInfo as method -> method.IsSpecialName
            | _ -> false

        let marked =
            [ for declaring in assembly.GetExportedTypes() do
                  for info in declaring.GetMembers statics do
                      match stateOf info with
                      | Some state when not (isGetter info) -> TestList([ valueOf info ], state)
                      | _ -> () ]

        match marked with
        | [] -> None
        | tests -> Some(TestList(tests, Normal))

    /// The marked tests of the program.
    let testFromThisAssembly () =
        testFromAssembly (Assembly.GetEntryAssembly())
