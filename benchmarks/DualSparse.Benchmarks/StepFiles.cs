using System.Text.Json.Nodes;

namespace DualSparse.Benchmarks;

/// <summary>Steps of a long measurement, each of which leaves a file when it is done, and isn't done again.</summary>
/// <param name="folder">Where the files are.</param>
internal sealed class StepFiles(string folder)
{
    /// <summary>What a step printed, as JSON.</summary>
    /// <param name="name">The file's name without its ending.</param>
    /// <param name="run">The step.</param>
    public JsonNode Step(string name, Func<string> run)
    {
        string path = Path.Combine(folder, name + ".json");
        if (!File.Exists(path))
            Write(path, run());
        return JsonNode.Parse(File.ReadAllText(path))!;
    }

    /// <summary>Writes a file, whole or not at all.</summary>
    public static void Write(string path, string text)
    {
        File.WriteAllText(path + ".new", text);
        File.Move(path + ".new", path, overwrite: true);
    }
}
