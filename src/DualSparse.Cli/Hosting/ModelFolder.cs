using DualSparse.Models;

namespace DualSparse.Cli.Hosting;

/// <summary>Finds the model that a command is about.</summary>
internal static class ModelFolder
{
    /// <summary>The model that comes with the repository, and every command's default.</summary>
    public const string Default = "models/olmoe-mini";

    /// <summary>The folder given, or what it leads to, or the default one, looked for from the program's folder and the current one upwards.</summary>
    /// <exception cref="ModelFormatException">There is no such folder, or it can't be one of a model.</exception>
    public static string Find(string? given)
    {
        if (given?.Trim() is "")
            throw new ModelFormatException("the model's folder has no name: --model takes a folder");
        if (given is not null)
            return ModelPath.Follow(given);

        foreach (string start in new[] { AppContext.BaseDirectory, Environment.CurrentDirectory })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                string model = Path.Combine(folder.FullName, Default);
                if (Directory.Exists(model))
                    return model;
            }
        }

        throw new ModelFormatException($"{Default} is neither above {AppContext.BaseDirectory} nor above the current folder: name a model's folder");
    }
}
