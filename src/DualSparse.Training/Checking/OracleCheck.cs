using System.Runtime.InteropServices;
using DualSparse.Kernels.Threading;
using DualSparse.Models;
using DualSparse.Models.Safetensors;
using DualSparse.Training.Optimisation;

namespace DualSparse.Training.Checking;

/// <summary>Training in f32 beside what another implementation computes of the same batch.</summary>
internal sealed class OracleCheck : IDisposable
{
    // What oracles make their steps with; the other constants are AdamW's defaults here.
    private const double Rate = 1e-3;
    private const double NormLimit = 1;
    private const int DefaultSteps = 10;

    private readonly ThreadTeam team;
    private readonly OracleFile file;
    private readonly TrainableModel model;
    private readonly OracleNames names;
    private readonly LossCoefficients coefficients;
    private readonly List<OracleAgreement> compared = [];
    private readonly List<string> unmatched = [], missing = [];

    private OracleCheck(string folder, string oracle, ThreadTeam team)
    {
        this.team = team;
        using var checkpoint = Checkpoint.Open(folder);
        var config = ModelConfig.Load(folder);
        coefficients = new LossCoefficients(BalanceCoefficient.Read(Path.Combine(checkpoint.Folder, ModelPath.Config)), RouterZ: 0);
        file = OracleFile.Open(oracle, config);
        try
        {
            model = new TrainableModel(config, team, ProductFormat.F32);
            model.Parameters.Load(checkpoint);
            model.ValuesChanged();
            names = new OracleNames(config, model.Parameters);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Compares all that the file holds.</summary>
    /// <param name="folder">The model's folder.</param>
    /// <param name="oracle">The oracle's file (<see cref="OracleFile"/>).</param>
    /// <param name="team">The threads.</param>
    /// <exception cref="ModelFormatException">The model or the file can't be read, or the file holds nothing to compare.</exception>
    /// <exception cref="NotSupportedException">An operator of the model has no gradient.</exception>
    public static OracleReport Run(string folder, string oracle, ThreadTeam team)
    {
        using var check = new OracleCheck(folder, oracle, team);
        return check.Compare();
    }

    /// <summary>Frees the model and closes the file.</summary>
    public void Dispose()
    {
        model?.Dispose();
        file?.Dispose();
    }

    private OracleReport Compare()
    {
        SortUnknown();
        float[]? logits = file.Tensors.ContainsKey("logits") ? new float[checked(file.Batch.Tokens * model.Config.VocabSize)] : null;
        var losses = model.Forward(file.Batch, logits);
        CompareWhole(OracleKind.Logits, "logits", [file.Batch.Windows, file.Batch.Length, model.Config.VocabSize], logits);
        CompareLoss(losses.CrossEntropy, "cross_entropy");
        if (model.Config.Moe is not null)
            CompareLoss(losses.Balance, "aux", "aux_loss");
        CompareLoss(losses.Total(coefficients), "loss");
        CompareGradients();
        CompareSteps();
        if (compared.Count + unmatched.Count == 0)
            throw new ModelFormatException($"{file.Path}: it holds nothing to compare training with, expected any of logits, cross_entropy, aux or aux_loss, loss, grad.NAME, adamw_losses and adamw.NAME beside the ids");
        return new OracleReport(model.Kernel, [.. compared.OrderByDescending(tensor => tensor.Share)], unmatched, missing);
    }

    private void SortUnknown()
    {
        // The last is for another command: verify compares it.
        string[] known = ["ids", "input_ids", "logits", "cross_entropy", "aux", "aux_loss", "loss", "adamw_losses", "greedy"];
        foreach (string name in file.Tensors.Keys)
        {
            bool tensors = name.StartsWith(OracleFile.Gradient, StringComparison.Ordinal) || name.StartsWith(OracleFile.Step, StringComparison.Ordinal);
            if (!tensors && !known.Contains(name))
                unmatched.Add($"'{name}': training has nothing of this name");
        }
    }

    private void CompareLoss(double ours, params ReadOnlySpan<string> spellings)
    {
        foreach (string name in spellings)
        {
            if (!file.Tensors.TryGetValue(name, out var tensor))
                continue;
            if (tensor.Count != 1)
                unmatched.Add($"'{name}': its shape is {Shapes.Show([.. tensor.Shape])}, expected one number");
            else
                compared.Add(Agreement(OracleKind.Loss, name, Values(tensor, 0, 1), [ours]));
            return;
        }

        missing.Add(string.Join(" or ", spellings!));
    }

    private void CompareWhole(OracleKind kind, string name, long[] shape, ReadOnlySpan<float> ours)
    {
        if (!file.Tensors.TryGetValue(name, out var tensor))
            missing.Add(name);
        else if (Fits(tensor, shape))
            compared.Add(Agreement(kind, name, Values(tensor, 0, ours.Length), Widened(ours)));
    }

    private void CompareGradients()
    {
        if (!Any(OracleFile.Gradient))
        {
            missing.Add("gradients");
            return;
        }

        model.ClearGradients();
        model.Backward(file.Batch, coefficients);
        CompareTensors(OracleKind.Gradient, OracleFile.Gradient, "gradients", model.Parameters.GradientOf);
    }

    private void CompareSteps()
    {
        bool values = Any(OracleFile.Step);
        if (!file.Tensors.TryGetValue("adamw_losses", out var tensor))
            missing.Add("adamw_losses");
        if (tensor is null && !values)
        {
            missing.Add("tensors after steps of AdamW");
            return;
        }

        double[] ours = Steps(tensor is { Shape.Count: 1 } ? checked((int)tensor.Count) : DefaultSteps);
        // Each is a figure of its own: a late one must not hide behind the norm of all.
        for (int i = 0; tensor is not null && Fits(tensor, ours.Length) && i < ours.Length; i++)
            compared.Add(Agreement(OracleKind.StepLoss, $"adamw_losses[{i}]", Values(tensor, i, 1), [ours[i]]));
        if (values)
            CompareTensors(OracleKind.Step, OracleFile.Step, "values after steps of AdamW", model.Parameters.ValuesOf);
        else
            missing.Add("tensors after steps of AdamW");
    }

    // The losses before each step.
    private double[] Steps(int count)
    {
        var parameters = model.Parameters;
        using var adam = new AdamW(parameters, new AdamWOptions());
        var losses = new double[count];
        for (int i = 0; i < count; i++)
        {
            model.ClearGradients();
            losses[i] = model.Backward(file.Batch, coefficients).Total(coefficients);
            double norm = GradientNorm.Of(team, parameters);
            adam.Step(team, Rate, GradientNorm.ClippingFactor(norm, NormLimit));
            model.ValuesChanged();
        }

        return losses;
    }

    private delegate Span<float> Ours(Parameter parameter);

    private void CompareTensors(OracleKind kind, string prefix, string what, Ours ours)
    {
        HashSet<Parameter> covered = [];
        foreach (var (name, tensor) in file.Tensors)
        {
            if (!name.StartsWith(prefix, StringComparison.Ordinal))
                continue;
            if (names.Find(name[prefix.Length..]) is not { } slot)
                unmatched.Add($"'{name}': the model has no tensor of this name");
            else if (Fits(tensor, slot.Shape))
                compared.Add(OfParts(kind, name, tensor, slot, ours));
            if (names.Find(name[prefix.Length..]) is { } found)
                covered.UnionWith(found.Parts);
        }

        var left = model.Parameters.All.Where(parameter => !covered.Contains(parameter)).ToArray();
        if (left is [var first, ..])
            missing.Add($"{what} of {left.Length} of {model.Parameters.All.Count} tensors, such as '{first.Name}'");
    }

    private static OracleAgreement OfParts(OracleKind kind, string name, TensorView tensor, OracleSlot slot, Ours ours)
    {
        double difference = 0, norm = 0;
        long first = 0;
        foreach (var part in slot.Parts)
        {
            var piece = Agreement(kind, name, Values(tensor, first, checked((int)part.Count)), Widened(ours(part)));
            (difference, norm) = (double.Hypot(difference, piece.Difference), double.Hypot(norm, piece.Norm));
            first += part.Count;
        }

        return new OracleAgreement(kind, name, difference, norm);
    }

    private bool Any(string prefix) => file.Tensors.Keys.Any(name => name.StartsWith(prefix, StringComparison.Ordinal));

    private bool Fits(TensorView tensor, params long[] shape)
    {
        bool fits = tensor.Shape.SequenceEqual(shape);
        if (!fits)
            unmatched.Add($"'{tensor.Name}': its shape is {Shapes.Show([.. tensor.Shape])}, expected {Shapes.Show(shape)}");
        return fits;
    }

    private static OracleAgreement Agreement(OracleKind kind, string name, double[] theirs, double[] ours)
    {
        double difference = 0, norm = 0;
        for (int i = 0; i < theirs.Length; i++)
        {
            difference += (ours[i] - theirs[i]) * (ours[i] - theirs[i]);
            norm += theirs[i] * theirs[i];
        }

        return new OracleAgreement(kind, name, Math.Sqrt(difference), Math.Sqrt(norm));
    }

    // Oracles in double precision are read as they are.
    private static double[] Values(TensorView tensor, long first, int count)
    {
        if (tensor.Type == TensorType.F64)
            return MemoryMarshal.Cast<byte, double>(tensor.ElementBytes(first, count)).ToArray();
        var values = new float[count];
        tensor.ReadFloats(first, values);
        return Widened(values);
    }

    private static double[] Widened(ReadOnlySpan<float> values)
    {
        var wide = new double[values.Length];
        System.Numerics.Tensors.TensorPrimitives.ConvertTruncating(values, wide.AsSpan());
        return wide;
    }
}
