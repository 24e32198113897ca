using DualSparse.Kernels;
using DualSparse.Models;
using DualSparse.Models.Pictures;
using DualSparse.Models.Text;

namespace DualSparse.Training;

/// <summary>What a run needs to know of a model before it has one: configuration, tokenizer, and how they fit together.</summary>
/// <param name="Config">The model, as its configuration alone describes it.</param>
/// <param name="Tokenizer">Its tokenizer.</param>
/// <param name="Balance">The configuration's factor of the balance loss.</param>
/// <param name="Deviation">The configuration's deviation of a new model's matrices.</param>
/// <param name="Pictures">The sizes and numbers that its pictures become; null: it reads none.</param>
internal sealed record RunSetup(ModelConfig Config, Tokenizer Tokenizer, double Balance, double Deviation, PictureProcessor? Pictures)
{
    /// <summary>What a text begins with.</summary>
    public int[] Opening => Tokenizer.Encode("", addSpecial: true) is [var first, ..] && first == Config.Generation.BosId ? [first] : [];

    /// <summary>The id after each document: the first that ends a text, or the tokenizer's <c>&lt;|endoftext|&gt;</c>; null: there is none.</summary>
    public int? Separator => Config.Generation.EosIds is [var eos, ..] ? eos : Tokenizer.IdOf(Data.DocumentReader.EndOfText);

    /// <summary>Reads and checks.</summary>
    /// <param name="config">A config.json.</param>
    /// <param name="generation">A generation_config.json; null: there is none.</param>
    /// <param name="tokenizer">A tokenizer's folder or tokenizer.json.</param>
    /// <exception cref="ModelFormatException">A file is missing, damaged or not followed; the tokenizer has ids beyond the vocabulary.</exception>
    public static RunSetup Read(string config, string? generation, string tokenizer)
    {
        byte[] json = ModelFile.Read(config, ModelConfig.MaxConfigBytes);
        var model = ModelConfig.Parse(json, config, generation is null ? null : ModelFile.Read(generation, ModelConfig.MaxConfigBytes), generation ?? "");
        var words = Tokenizer.Load(tokenizer);
        if (words.VocabularySize > model.VocabSize)
            throw new ModelFormatException($"{tokenizer}: the tokenizer has {words.VocabularySize} ids, more than the {model.VocabSize} of 'vocab_size' in {config}: take a larger vocabulary, a multiple of 64 at best, or another tokenizer");
        var fields = ConfigFields.Parse(json, config);
        // By way of a decimal number, so that 0.01 stays what it is.
        double balance = (double)(decimal)BalanceCoefficient.Read(config);
        return new RunSetup(model, words, balance, fields.OptionalNumber("initializer_range", 0, 1e3) ?? Initialisation.DefaultDeviation, Processor(config, tokenizer, model));
    }

    // Beside the configuration, or else beside the tokenizer.
    private static PictureProcessor? Processor(string config, string tokenizer, ModelConfig model)
    {
        if (model.Vision is not { } vision)
            return null;
        string? file = PictureProcessor.FileNames.Select(name => Checkpoints.ModelFiles.Beside(config, tokenizer, name)).FirstOrDefault(found => found is not null);
        return PictureProcessor.Load(Path.GetDirectoryName(file ?? Path.GetFullPath(config))!, vision);
    }

    /// <summary>The enumeration of products.</summary>
    public static ProductFormat Products(WeightFormat? format) => format switch
    {
        WeightFormat.F32 => ProductFormat.F32,
        WeightFormat.Bf16 => ProductFormat.Bf16,
        _ => ProductFormat.Fastest,
    };
}
