namespace LocalAttention.Core.Kernels.Cuda.Driver;

/// <summary>
/// Where compiled kernels and the tuner's answers are kept between processes: the folder that
/// <c>LOCALATTENTION_CACHE</c> names, or <c>localattention</c> in the user's folder of caches (<c>XDG_CACHE_HOME</c>,
/// <c>~/.cache</c>; on Windows the local application data). All of it may be removed at any time.
/// </summary>
internal static class CacheFolder
{
    /// <summary>The variable that names the folder.</summary>
    public const string Variable = "LOCALATTENTION_CACHE";

    /// <summary>The folder, whether or not it is there yet; none: the user has no place for one.</summary>
    public static string? Default => Find(Environment.GetEnvironmentVariable, Environment.GetFolderPath);

    /// <summary>The folder that variables and the system's folders give.</summary>
    internal static string? Find(Func<string, string?> variable, Func<Environment.SpecialFolder, string> folder)
    {
        if (variable(Variable) is { Length: > 0 } named)
        {
            return Path.GetFullPath(named);
        }
        // The XDG base directory specification ignores paths that are not absolute.
        if (variable("XDG_CACHE_HOME") is { } caches && Path.IsPathFullyQualified(caches))
        {
            return Path.Combine(caches, "localattention");
        }
        if (OperatingSystem.IsWindows())
        {
            var data = folder(Environment.SpecialFolder.LocalApplicationData);
            return data.Length > 0 ? Path.Combine(data, "localattention") : null;
        }
        var home = folder(Environment.SpecialFolder.UserProfile);
        return home.Length > 0 ? Path.Combine(home, ".cache", "localattention") : null;
    }
}
