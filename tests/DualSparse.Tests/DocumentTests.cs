using System.Text.RegularExpressions;

namespace DualSparse.Tests;

/// <summary>What the documents point at is there.</summary>
public partial class DocumentTests
{
    public static TheoryData<string> Documents =>
    [
        .. Directory.GetFiles(TestPaths.InRepository(), "*.md")
            .Concat(Directory.GetFiles(TestPaths.InRepository("docs"), "*.md", SearchOption.AllDirectories))
            .Select(file => Path.GetRelativePath(TestPaths.InRepository(), file)),
    ];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Links_lead_to_files_that_hold_what_they_name(string document)
    {
        string path = TestPaths.InRepository(document);
        foreach (Match link in Links().Matches(File.ReadAllText(path)))
        {
            string target = link.Groups["target"].Value.Split('#')[0];
            if (target.Length == 0 || target.Contains("://", StringComparison.Ordinal))
                continue;
            string file = Path.Combine(Path.GetDirectoryName(path)!, target);
            Assert.True(Path.Exists(file), $"{document} links to {target}");
            // `Type.Member` names code: both stand in that file.
            if (!target.EndsWith(".cs", StringComparison.Ordinal) || Code().Match(link.Groups["text"].Value) is not { Success: true } code)
                continue;
            string source = File.ReadAllText(file);
            foreach (string name in code.Groups["name"].Value.Split('.'))
                Assert.Matches($@"\b{name}\b", source);
        }
    }

    [GeneratedRegex(@"\[(?<text>[^\]]*)\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Links();

    [GeneratedRegex(@"^`(?<name>[A-Z]\w*(\.[A-Z]\w*)?)`$", RegexOptions.ExplicitCapture)]
    private static partial Regex Code();
}
