namespace TorchSharp.Utils;

/// <summary>Gives the part of a module that a field holds another name than the field's.</summary>
[AttributeUsage(AttributeTargets.All)]
public class ComponentNameAttribute : Attribute
{
    /// <summary>The name the part has in the module and in its state dictionary.</summary>
    public string Name { get; set; } = "";
}
