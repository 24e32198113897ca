using System.Xml.Linq;

namespace DualSparse.Tests;

public class ArchitectureTests
{
    // Each project and what it may see directly; what those see comes along.
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Kernels"] = [],
        ["Models"] = ["Kernels"],
        ["Engine"] = ["Models"],
        ["Evaluation"] = ["Engine"],
        ["Benchmarking"] = ["Engine"],
        ["Sparsify"] = ["Engine"],
        ["Cli"] = ["Evaluation", "Benchmarking", "Sparsify"],
    };

    [Fact]
    public void Projects_see_only_what_the_architecture_allows()
    {
        string[] files = Directory.GetFiles(TestPaths.InRepository("src"), "*.csproj", SearchOption.AllDirectories);
        Assert.NotEmpty(files);
        foreach (string file in files)
        {
            string project = Path.GetFileNameWithoutExtension(file)["DualSparse.".Length..];
            var seen = XDocument.Load(file).Descendants("ProjectReference")
                .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/'))["DualSparse.".Length..]);
            Assert.Empty(seen.Except(Allowed[project]));
        }
    }

    [Fact]
    public void Readme_shows_the_code_that_the_test_runs()
    {
        string readme = File.ReadAllText(TestPaths.InRepository("README.md"));
        string code = readme.Split("```csharp\n")[1].Split("```")[0];
        string test = File.ReadAllText(TestPaths.InRepository("tests", "DualSparse.Tests", "Engine", "ReadmeTests.cs"));
        foreach (string line in code.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            Assert.Contains(line.Trim(), test);
    }
}
