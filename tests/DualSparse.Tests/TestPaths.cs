namespace DualSparse.Tests;

/// <summary>Files of the repository, found from where the tests run.</summary>
internal static class TestPaths
{
    private static readonly string s_root = FindRoot();

    /// <summary>A path below tests/golden.</summary>
    public static string Golden(params string[] parts) => InRepository(["tests", "golden", .. parts]);

    /// <summary>A path below the repository's root.</summary>
    public static string InRepository(params string[] parts) => Path.Combine([s_root, .. parts]);

    /// <summary>The model that ships.</summary>
    public static string Model => InRepository("models", "olmoe-mini");

    private static string FindRoot()
    {
        for (DirectoryInfo? folder = new(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "DualSparse.slnx")))
            {
                return folder.FullName;
            }
        }

        throw new DirectoryNotFoundException($"no folder above {AppContext.BaseDirectory} has DualSparse.slnx");
    }
}
